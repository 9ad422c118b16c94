"""The front port: stable URLs for the deployed APIs, and the edge's limits and errors as on AWS.

/v1/*, /admin/*, /webhooks/*                  the REST stage
/openapi.json, /asyncapi.json                 the same
/realtime, /v1/realtime (WebSocket)           the WebSocket stage
/realtime-page                                docs/realtime-page.html
/_front/*                                     for the deploy step (local/front_control.py)

Calls the emulator's API Gateway in the same process, so a streamed answer passes chunk by chunk.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from local import emulator, error_envelope, request_body
from local.error_envelope import EdgeError
from local.exchange import CURRENT, Exchange
from local.front_control import PREFIX as CONTROL_PREFIX
from local.front_control import FrontControl
from local.front_page import PATH as PAGE_PATH
from local.front_page import send_page
from local.front_websocket import WEBSOCKET_PATHS, serve_websocket
from local.routes import RoutesFile

logger = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
HeaderValues = dict[str, str | list[str]]

_REST_PREFIXES = ("/v1/", "/admin/", "/webhooks/")
_REST_PATHS = ("/openapi.json", "/asyncapi.json")


def leads_to_rest(path: str) -> bool:
    return path in _REST_PATHS or path.startswith(_REST_PREFIXES)


class Front:
    """The ASGI application of the front port."""

    def __init__(self, routes: RoutesFile, control: FrontControl) -> None:
        self._routes, self._control = routes, control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            target = self._routes.current.websocket if scope["path"] in WEBSOCKET_PATHS else None
            await serve_websocket(scope, receive, send, target)
        elif scope["path"].startswith(CONTROL_PREFIX):
            await self._control.handle(scope, receive, send)
        elif scope["path"] == PAGE_PATH and scope["method"] in ("GET", "HEAD"):
            await send_page(scope["method"], send)
        else:
            await self._serve_http(scope, receive, send)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = request_body.header_map(scope["headers"])
        exchange = Exchange(client_ip=scope["client"][0], host=headers.get("host", ""))
        try:
            body = await request_body.read(receive)
        except request_body.ClientGone:
            return
        except request_body.TooLarge:
            await _send_error(send, error_envelope.TOO_LARGE, exchange)
            return
        if not leads_to_rest(scope["path"]):
            await _send_error(send, error_envelope.UNKNOWN_ROUTE, exchange)
        elif self._routes.current.rest is None:
            await _send_error(send, error_envelope.NOTHING_DEPLOYED, exchange)
        else:
            _add_forwarding_headers(headers, exchange, scope)
            await self._serve_rest(scope, headers, body, exchange, receive, send)

    async def _serve_rest(
        self, scope: Scope, headers: dict[str, str], body: bytes, exchange: Exchange, receive: Receive, send: Send
    ) -> None:
        target = self._routes.current.rest
        assert target is not None  # noqa: S101 - checked by the caller
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        CURRENT.set(exchange)
        try:
            status, answer_headers, answer = await emulator.rest_service().handle_execute(
                target.api_id, target.stage, scope["method"], scope["path"], headers, body, query
            )
        except Exception:  # the edge's outermost point: an emulator's defect is a 500 of ours all the same
            logger.exception("%s %s failed in the emulator", scope["method"], scope["path"])
            await _send_error(send, error_envelope.for_gateway_answer(500, ""), exchange)
            return
        if not exchange.answered_by_function and status >= 400:
            await _send_gateway_answer(send, status, answer_headers, answer, exchange)
            return
        if isinstance(answer, bytes):
            await _send_whole(send, status, answer_headers, answer, exchange)
        else:
            await send(_start(status, answer_headers, exchange))
            await answer.runner(send, receive)


def _add_forwarding_headers(headers: dict[str, str], exchange: Exchange, scope: Scope) -> None:
    """As API Gateway does: the caller's address goes at the end of whatever list the caller sent."""
    before = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{before}, {exchange.client_ip}" if before else exchange.client_ip
    headers["x-forwarded-proto"] = scope["scheme"]
    headers["x-forwarded-port"] = exchange.host.rpartition(":")[2] if ":" in exchange.host else "80"
    headers["x-forwarded-host"] = exchange.host


async def _send_gateway_answer(send: Send, status: int, headers: HeaderValues, body: bytes, exchange: Exchange) -> None:
    """What API Gateway answered of itself: the template's gateway responses pass, the rest gets our envelope."""
    if error_envelope.is_enveloped(body):
        await _send_whole(send, status, headers, body, exchange)
        return
    error_type = next((str(value) for name, value in headers.items() if name.lower() == "x-amzn-errortype"), "")
    await _send_error(send, error_envelope.for_gateway_answer(status, error_type), exchange)


async def _send_error(send: Send, error: EdgeError, exchange: Exchange) -> None:
    headers: HeaderValues = {"content-type": "application/json"}
    if not error.retryable:
        headers["x-should-retry"] = "false"
    await _send_whole(send, error.status, headers, error.body(exchange.request_id), exchange)


async def _send_whole(send: Send, status: int, headers: HeaderValues, body: bytes, exchange: Exchange) -> None:
    kept = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    await send(_start(status, {**kept, "content-length": str(len(body))}, exchange))
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(status: int, headers: HeaderValues, exchange: Exchange) -> dict[str, Any]:
    pairs: list[tuple[bytes, bytes]] = []
    for name, value in headers.items():
        for each in value if isinstance(value, list) else [value]:
            pairs.append((name.lower().encode("latin-1"), str(each).encode("latin-1", errors="replace")))
    present = dict(pairs)
    request_id = present.get(b"x-amzn-requestid", exchange.request_id.encode())
    pairs += [(name, request_id) for name in (b"x-request-id", b"x-amzn-requestid") if name not in present]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
