"""Reading a request's body at the edge, up to the size that API Gateway takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

MAX_REQUEST_BYTES = 10 * 1024 * 1024
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""
_DRAINED_BYTES = 256 * 1024 * 1024
"""A refused body is read to its end: a client still sending would see a broken connection instead of the 413."""

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class TooLarge(ValueError):
    """The body is larger than the edge takes."""


class ClientGone(ConnectionError):
    """The client closed before its request was complete."""


async def read(receive: Receive) -> bytes:
    """The whole body. Raises TooLarge, ClientGone."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_REQUEST_BYTES:
            parts.append(part)
        else:
            parts.clear()
        if size > _DRAINED_BYTES or not message.get("more_body", False):
            break
    if size > MAX_REQUEST_BYTES:
        raise TooLarge
    return b"".join(parts)


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as MiniStack takes them: lower-case names, repeated ones joined."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in headers:
            value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        headers[name] = value
    return headers
