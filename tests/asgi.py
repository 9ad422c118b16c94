"""Calls an ASGI application the way the runtime client does and keeps every message it sends."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from gateway.entry.http import App

ROUTE = "/v1/chat/completions"


@dataclass
class Answer:
    """`parts`: body messages as sent. `log`: what happened in order; the app may add its own entries to it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """Server-sent events, decoded; "[DONE]" and comments as text."""
        blocks = [block for block in self.body.decode().split("\n\n") if block]
        data = [block.removeprefix("data: ") for block in blocks]
        return [json.loads(text) if text.startswith("{") else text for text in data]


async def call(
    app: App,
    body: bytes,
    headers: dict[str, str],
    *,
    method: str = "POST",
    path: str = ROUTE,
    answer: Answer | None = None,
    extensions: dict[str, Any] | None = None,
) -> Answer:
    """Runs the application to its very end."""
    result = Answer() if answer is None else answer
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        return unread.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            result.status = message["status"]
            result.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            result.log.append("start")
        else:
            result.parts.append(message.get("body", b""))
            result.log.append("body" if message.get("more_body") else "last")

    scope = {
        "type": "http",
        "method": method,
        "path": path.partition("?")[0],
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "query_string": path.partition("?")[2].encode(),
        "extensions": extensions or {},
    }
    await app(scope, receive, send)
    return result
