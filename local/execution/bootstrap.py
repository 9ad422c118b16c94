"""The managed Python runtime's part inside the process: import the handler, ask for events, answer them.

Runs alone, under the managed interpreter: standard library only. Behaves as AWS's runtime interface client does for
plain handlers (https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html): the module search path, the context
object, the shape of errors. A function with an exec wrapper may run this or bring its own runtime client.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_RUNTIME = "/2018-06-01/runtime"

Handler = Callable[[Any, "Context"], Any]


class Context:
    """The second argument of a handler. https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    identity = None
    client_context = None

    def __init__(self, request_id: str, function_arn: str, deadline_ms: int) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = function_arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


class RuntimeApi:
    """The three calls of the Runtime API that a handler needs, over one kept connection."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address)

    def next(self) -> tuple[Any, Context]:
        self._connection.request("GET", f"{_RUNTIME}/invocation/next")
        response = self._connection.getresponse()
        event = json.loads(response.read())
        headers = response.headers
        if trace_id := headers["Lambda-Runtime-Trace-Id"]:
            os.environ["_X_AMZN_TRACE_ID"] = trace_id
        request_id, arn = headers["Lambda-Runtime-Aws-Request-Id"], headers["Lambda-Runtime-Invoked-Function-Arn"]
        return event, Context(request_id, arn, int(headers["Lambda-Runtime-Deadline-Ms"]))

    def post(self, path: str, body: dict[str, Any] | str) -> None:
        data = body if isinstance(body, str) else json.dumps(body)
        self._connection.request("POST", f"{_RUNTIME}/{path}", data.encode(), {"Content-Type": "application/json"})
        self._connection.getresponse().read()


def error_body(error_type: str, message: str, stack: list[str], request_id: str = "") -> dict[str, Any]:
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id, "stackTrace": stack}


def load_handler(name: str) -> Handler:
    module_name, _, function_name = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module_name.replace("/", ".")), function_name)
    return handler


def search_path(task: str, opt: str) -> list[str]:
    """Function first, then the layers' two Python folders; this file's own folder is not the function's business."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return [task, f"{opt}/python/lib/{version}/site-packages", f"{opt}/python"]


def start(api: RuntimeApi) -> Handler:
    """The handler; a function that cannot be imported is reported and ends the process, as on AWS."""
    name = os.environ["_HANDLER"]
    try:
        return load_handler(name)
    except Exception as error:
        traceback.print_exc()
        kind, message = _start_failure(name, error)
        stack = traceback.format_tb(error.__traceback__)
    api.post("init/error", error_body(kind, message, stack))
    sys.exit(1)


def _start_failure(name: str, error: Exception) -> tuple[str, str]:
    module_name, _, function_name = name.rpartition(".")
    if isinstance(error, ImportError):
        return "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
    if isinstance(error, AttributeError):
        return "Runtime.HandlerNotFound", f"Handler '{function_name}' missing: {error}"
    return type(error).__name__, str(error)


def answer(api: RuntimeApi, handler: Handler, event: Any, context: Context) -> None:
    try:
        result = handler(event, context)
    except Exception as error:
        stack = traceback.format_tb(error.__traceback__)[1:]
        print(f"[ERROR] {type(error).__name__}: {error}\n{''.join(stack)}", file=sys.stderr, flush=True)
        body = error_body(type(error).__name__, str(error), stack, context.aws_request_id)
        api.post(f"invocation/{context.aws_request_id}/error", body)
        return
    try:
        data = json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        body = error_body("Runtime.MarshalError", message, [], context.aws_request_id)
        api.post(f"invocation/{context.aws_request_id}/error", body)
        return
    api.post(f"invocation/{context.aws_request_id}/response", data)


def main() -> None:
    sys.stdout = sys.stderr  # one unbuffered log, its lines in the order they were printed
    sys.path[0:1] = search_path(os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_OPT_ROOT"])
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    handler = start(api)
    while True:
        answer(api, handler, *api.next())


if __name__ == "__main__":
    try:
        main()
    except (OSError, http.client.HTTPException):
        sys.exit(1)  # the stack is gone, and this environment with it
