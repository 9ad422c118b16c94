"""WebSocket routes call functions as everything else does: one environment per concurrent event.

MiniStack: sends every event of a function through one process, so a slow handler on one connection delays all others,
and passes an exception's text on to the client.
AWS: environments scale with concurrent events; the client of a failed route gets a frame with `Internal server error`.
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local import emulator
from local.patches.functions import FunctionRunner


class _AnyEnvironment:
    """Stands where MiniStack expects a worker."""

    def __init__(self, runner: FunctionRunner, record: dict[str, Any]) -> None:
        self._runner, self._record = runner, record

    def invoke(self, event: dict[str, Any], message_id: str) -> dict[str, Any]:
        result = self._runner.call_from_thread(self._record, event, message_id)
        if not result.get("error"):
            return {"status": "ok", "result": result.get("body")}
        context = event["requestContext"]
        identity = {"connectionId": context["connectionId"], "requestId": context["requestId"]}
        body = json.dumps({"message": "Internal server error", **identity})
        return {"status": "ok", "result": {"statusCode": 500, "body": body}}


def apply(runner: FunctionRunner) -> None:
    def worker(stock: Callable[..., Any]) -> Callable[..., Any]:
        def get_worker(name: str, config: dict[str, Any], code_zip: bytes, qualifier: str = "$LATEST") -> Any:
            record = {"config": config, "code_zip": code_zip}
            return _AnyEnvironment(runner, record) if runner.runs(record) else stock(name, config, code_zip, qualifier)

        return get_worker

    emulator.replace(emulator.module("core.lambda_runtime"), "get_or_create_worker", worker)
