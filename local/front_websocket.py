"""WebSocket at the front port: the deployed stage under stable paths, with API Gateway's limits.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
The size of a message is bounded by the server (`MAX_MESSAGE_BYTES`, close code 1009).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from local import emulator, error_envelope
from local.exchange import Exchange
from local.patches.websocket_functions import Handshake
from local.routes import Target

WEBSOCKET_PATHS = ("/realtime", "/v1/realtime")
MAX_MESSAGE_BYTES = 128 * 1024
_CLOSE_UNSUPPORTED_DATA = 1003

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def serve_websocket(scope: Mapping[str, Any], receive: Receive, send: Send, target: Target | None) -> None:
    """Serve a handshake and, if the stage takes it, the connection."""
    if target is None:
        await receive()
        await _refuse(scope, send)
        return
    handshake = Handshake()
    Handshake.current.set(handshake)
    connection = _Connection(scope, receive, send, handshake)
    await emulator.websocket_service().handle_websocket(
        scope, connection.receive, connection.send, target.api_id, path_override=f"/{target.stage}"
    )


class _Connection:
    """Between server and stage: passes on what the function says to the handshake, and ends the connection at a binary
    frame.

    MiniStack returns no subprotocol, with which a browser that offered one gives up, and decodes binary frames with
    loss. API Gateway's answer to a binary frame is to close with 1003.
    """

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send, handshake: Handshake) -> None:
        self._scope, self._receive, self._send, self._handshake = scope, receive, send, handshake
        self._closed = False

    async def receive(self) -> Mapping[str, Any]:
        message = await self._receive()
        if message["type"] == "websocket.receive" and message.get("bytes") is not None:
            await self.send({"type": "websocket.close", "code": _CLOSE_UNSUPPORTED_DATA})
            return {"type": "websocket.disconnect", "code": _CLOSE_UNSUPPORTED_DATA}
        return message

    async def send(self, message: dict[str, Any]) -> None:
        if self._closed:
            return
        chosen = self._handshake.headers.get("sec-websocket-protocol")
        if message["type"] == "websocket.accept" and chosen:
            message = {**message, "subprotocol": chosen}
        self._closed = message["type"] == "websocket.close"
        if self._closed and self._handshake.is_refused and _can_be_answered(self._scope):
            await _answer(self._handshake, self._send)
            return
        await self._send(message)


async def _answer(handshake: Handshake, send: Send) -> None:
    """What the function that refused the handshake says."""
    headers = [(name.encode(), value.encode()) for name, value in handshake.headers.items()]
    status, body = int(handshake.answer["statusCode"]), str(handshake.answer.get("body") or "")
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body.encode()})


def _can_be_answered(scope: Mapping[str, Any]) -> bool:
    return "websocket.http.response" in (scope.get("extensions") or {})


async def _refuse(scope: Mapping[str, Any], send: Send) -> None:
    """404, or plain closing where the server cannot answer a handshake with a body."""
    if not _can_be_answered(scope):
        await send({"type": "websocket.close", "code": 1008})
        return
    error = error_envelope.UNKNOWN_ROUTE
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    request_id = Exchange(client_ip="", host="").request_id
    await send({"type": "websocket.http.response.body", "body": error.body(request_id)})
