"""Python functions run in execution environments of ours, which speak the Lambda Runtime API.

MiniStack: a Python function is a loop over stdin and stdout. It ignores AWS_LAMBDA_EXEC_WRAPPER, reports every
exception as `Runtime.HandlerError` and ends the process for it, waits 50 ms for log lines that do not come, unpacks the
package anew for every process, lets the function see the emulator's own packages and the developer's variables, and
opens one log stream per invocation without end.
AWS: the runtime is a client of the Runtime API, started through the wrapper if there is one; errors carry the class's
name and leave the process alone; the log stream belongs to the environment.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper
https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

from local import emulator
from local.execution.function import FunctionSpec
from local.execution.pool import EnvironmentPool
from local.execution.reply import Failure, Invocation, InvocationFailed, Reply

OWN_LOG_SOURCE = "execution-environment"
"""Marks results whose log was written already, by local/patches/function_logs.py."""

Record = dict[str, Any]
"""MiniStack's record of a function version: `config` as GetFunctionConfiguration shows it, `code_zip`."""


class FunctionRunner:
    """Runs MiniStack's functions in the pool: from the event loop, or from any thread."""

    def __init__(self, pool: EnvironmentPool, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self._loop = loop
        self._loop_thread = threading.current_thread()
        self._service = emulator.lambda_service()
        self._specs: dict[str, FunctionSpec] = {}

    def runs(self, record: Record) -> bool:
        """Whether this is a function for our environments. Durable functions keep MiniStack's own way."""
        config = record.get("config") or record
        is_python = str(config.get("Runtime", "")).startswith("python")
        return is_python and bool(record.get("code_zip")) and not self._service._durable_env_overlay()

    def find(self, reference: str, account_id: str | None, region: str | None) -> Record | None:
        """The record of the version that a name or ARN, possibly with version or alias, means."""
        function, config, _name = self._service._get_func_record_for_ref_in_scope(
            reference, account_id=account_id, region=region
        )
        if function is None or config is None:
            return None
        record: Record = self._service._execution_record_for_config(function, config)
        return record

    def start(self, record: Record, payload: bytes, request_id: str | None = None) -> Reply:
        """Begin an invocation. On the event loop only; concurrency limits are the caller's business."""
        config = record["config"]
        invocation = Invocation(
            request_id=request_id or str(uuid.uuid4()),
            payload=payload,
            function_arn=config.get("FunctionArn", ""),
            trace_id=self._service._xray_trace_id_for_invocation(config),
        )
        return self.pool.invoke(self.spec(record), invocation)

    def start_accounted(self, record: Record, payload: bytes) -> Reply | Record:
        """Begin an invocation that counts against the concurrency limits; a throttled one gets MiniStack's answer."""
        slot, limit = self._service._acquire_execution_slot(record, record["config"])
        if slot is None:
            return self._throttled(record, limit)
        reply = self.start(record, payload)
        reply.when_finished(lambda: self._service._release_execution_slot(slot))
        return reply

    async def call(self, record: Record, event: Any) -> Record:
        """An accounted invocation to its end; the result in the form MiniStack's executors give it."""
        reply = self.start_accounted(record, event_bytes(event))
        return reply if isinstance(reply, dict) else await executor_result(reply)

    def call_from_thread(self, record: Record, event: Any, request_id: str) -> Record:
        """The same for an invocation that is accounted already, blocking the calling thread, not the event loop's."""
        if threading.current_thread() is self._loop_thread:
            raise RuntimeError("a function call on the event loop's thread would wait for itself")
        record = {**record, "config": record.get("config") or record}
        self.spec(record)  # resolves its layers, which needs the calling thread's account and region
        work = self._finish(record, event_bytes(event), request_id)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _finish(self, record: Record, payload: bytes, request_id: str) -> Record:
        return await executor_result(self.start(record, payload, request_id))

    def _throttled(self, record: Record, limit: str) -> Record:
        code = "ReservedFunctionConcurrentInvocationLimitExceeded" if limit == "function" else ""
        name = record["config"].get("FunctionName", "")
        answer: Record = self._service._throttle_response(
            reason_code=code or "ConcurrentInvocationLimitExceeded", msg=f"Rate Exceeded: {name}"
        )
        return answer

    def retire(self, name: str) -> None:
        """The function changed or went; from any thread."""
        if threading.current_thread() is self._loop_thread:
            self.pool.retire(name)
        else:
            self._loop.call_soon_threadsafe(self.pool.retire, name)

    def spec(self, record: Record) -> FunctionSpec:
        config = record["config"]
        account_id, region = self._service._account_region_from_function_config(config)
        name, version = config["FunctionName"], config.get("Version", "$LATEST")
        key = f"{account_id}:{region}:{name}:{version}"
        known = self._specs.get(key)
        if known is None or known.revision != config["RevisionId"]:
            known = self._specs[key] = self._read_spec(key, region, record)
        return known

    def _read_spec(self, key: str, region: str, record: Record) -> FunctionSpec:
        config = record["config"]
        layers = [self._service._resolve_layer_zip(layer) for layer in config.get("Layers") or []]
        logging_config = config.get("LoggingConfig") or {}
        return FunctionSpec(
            key=key,
            revision=config["RevisionId"],
            name=config["FunctionName"],
            version=config.get("Version", "$LATEST"),
            arn=config.get("FunctionArn", ""),
            region=region,
            handler=config.get("Handler", ""),
            runtime=config["Runtime"],
            memory_mb=int(config.get("MemorySize", 128)),
            timeout_s=float(config.get("Timeout", 3)),
            log_group=logging_config.get("LogGroup") or f"/aws/lambda/{config['FunctionName']}",
            log_format=logging_config.get("LogFormat", "Text"),
            variables=dict((config.get("Environment") or {}).get("Variables") or {}),
            credentials=_credentials(config),
            code=record["code_zip"],
            layers=tuple(layer for layer in layers if layer),
        )


def _credentials(config: dict[str, Any]) -> dict[str, str]:
    """As MiniStack gives them, but with a session token: a role's credentials always have one on AWS."""
    credentials: dict[str, str] = emulator.module("core.lambda_runtime").execution_credentials(config)
    return {**credentials, "AWS_SESSION_TOKEN": credentials.get("AWS_SESSION_TOKEN") or "local"}


def event_bytes(event: Any) -> bytes:
    """The event as Lambda receives it: UTF-8, except where a lone surrogate has to stay escaped."""
    try:
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(event, separators=(",", ":")).encode()


async def executor_result(reply: Reply) -> Record:
    """A reply in the form MiniStack's executors give their results."""
    try:
        body = await reply.read()
    except InvocationFailed as error:
        return _failed(error.failure, reply.log)
    try:
        return {"body": json.loads(body), "log": reply.log, "log_source": OWN_LOG_SOURCE}
    except ValueError:
        text = body.decode("utf-8", errors="replace")
        return {"body": text, "raw_payload": True, "log": reply.log, "log_source": OWN_LOG_SOURCE}


def _failed(failure: Failure, log: str) -> Record:
    return {"body": failure.payload, "error": True, "log": log, "log_source": OWN_LOG_SOURCE}


def apply(runner: FunctionRunner) -> None:
    service, rest = emulator.lambda_service(), emulator.rest_service()

    def execute_warm(stock: Callable[..., Record]) -> Callable[..., Record]:
        def execute(function: Record, event: Any, request_id: str) -> Record:
            if not runner.runs(function):
                return stock(function, event, request_id)
            return runner.call_from_thread(function, event, request_id)

        return execute

    def call_lambda_raw(stock: Callable[..., Any]) -> Callable[..., Any]:
        async def call(
            reference: str, event: Any, *, account_id: str | None = None, region: str | None = None
        ) -> tuple[Record | None, str | None]:
            record = runner.find(reference, account_id, region)
            if record is None or not runner.runs(record):
                answer: tuple[Record | None, str | None] = await stock(
                    reference, event, account_id=account_id, region=region
                )
                return answer
            return await runner.call(record, event), None

        return call

    def invalidate_worker(stock: Callable[..., None]) -> Callable[..., None]:
        def invalidate(name: str, *arguments: Any, **named: Any) -> None:
            stock(name, *arguments, **named)
            runner.retire(name)

        return invalidate

    emulator.replace(service, "_execute_function_warm", execute_warm)
    emulator.replace(service, "invalidate_worker", invalidate_worker)
    emulator.replace(rest, "_call_lambda_raw", call_lambda_raw)
