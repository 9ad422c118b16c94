"""Small ASGI apps. Each ignores the lifespan call the way the specification allows: by raising."""

from __future__ import annotations

import json
from typing import Any

from gateway.entry.runtime.handler import Receive, Send

Scope = dict[str, Any]
JSON_HEADERS = [(b"content-type", b"application/json")]
EVENT_STREAM_HEADERS = [(b"content-type", b"text/event-stream")]


class NoLifespan(Exception):
    pass


def http_only(scope: Scope) -> None:
    if scope["type"] != "http":
        raise NoLifespan


async def begin(send: Send, status: int = 200, headers: list[tuple[bytes, bytes]] = EVENT_STREAM_HEADERS) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send: Send, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it was asked."""
    http_only(scope)
    request = await receive()
    answer = json.dumps({"path": scope["path"], "body": request["body"].decode()}).encode()
    await begin(send, 200, [*JSON_HEADERS, (b"content-length", str(len(answer)).encode())])
    await body(send, answer, more=False)
