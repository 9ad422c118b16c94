"""WebSocket routes call functions as everything else does: one environment per concurrent event.

MiniStack: sends every event of a function through one process, so a slow handler on one connection delays all others,
and passes an exception's text on to the client. A client that a function refuses is always answered with 403, and
a subprotocol that it chose is dropped.
AWS: environments scale with concurrent events; the client of a failed route gets a frame with `Internal server error`,
one that is refused the status that the function gave, and one that is let in the subprotocol that it chose.
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
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


class Handshake:
    """What the function said to the handshake of the connection that is served in this task."""

    current: ContextVar[Handshake | None] = ContextVar("handshake", default=None)

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}

    @property
    def is_refused(self) -> bool:
        return not 200 <= int(self.answer.get("statusCode", 200)) < 300

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): str(value) for name, value in (self.answer.get("headers") or {}).items()}


def apply(runner: FunctionRunner) -> None:
    def worker(stock: Callable[..., Any]) -> Callable[..., Any]:
        def get_worker(name: str, config: dict[str, Any], code_zip: bytes, qualifier: str = "$LATEST") -> Any:
            record = {"config": config, "code_zip": code_zip}
            return _AnyEnvironment(runner, record) if runner.runs(record) else stock(name, config, code_zip, qualifier)

        return get_worker

    def noted(stock: Callable[..., Any]) -> Callable[..., Any]:
        async def invoke(*arguments: Any, **named: Any) -> dict[str, Any] | None:
            answer: dict[str, Any] | None = await stock(*arguments, **named)
            handshake = Handshake.current.get()
            if handshake is not None and "CONNECT" in arguments:
                handshake.answer = answer or {}
            return answer

        return invoke

    emulator.replace(emulator.module("core.lambda_runtime"), "get_or_create_worker", worker)
    emulator.replace(emulator.module("services.apigateway"), "_invoke_ws_lambda", noted)
