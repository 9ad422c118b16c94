"""The page to try sessions of voice on, beside the APIs that it calls, so that it needs no leave of theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from local.places import REPOSITORY

PATH = "/realtime-page"
PAGE = REPOSITORY / "docs" / "realtime-page.html"

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def send_page(method: str, send: Send) -> None:
    """As it is now, so that who changes it sees that."""
    body = PAGE.read_bytes()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
