"""The head of a streamed HTTP response: a JSON object, eight NUL bytes, then the body.

https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

SEPARATOR = b"\0" * 8
MAX_PRELUDE_BYTES = 16 * 1024
_NOT_PASSED_ON = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
_REMAPPED = "x-amzn-remapped-"
"""API Gateway renames what it does not let a function set.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html"""


class NoPrelude(ValueError):
    """The stream does not begin with a prelude, or with one that means nothing."""


@dataclass(frozen=True, slots=True)
class Prelude:
    status: int
    headers: dict[str, str | list[str]]
    body_start: bytes
    """Body bytes that came together with the prelude."""


async def read_prelude(chunks: AsyncIterator[bytes]) -> Prelude:
    """Take the prelude off the front of a stream, however it was cut up. Raises NoPrelude."""
    received = bytearray()
    async for chunk in chunks:
        received += chunk
        head, separator, body_start = bytes(received).partition(SEPARATOR)
        if len(head) > MAX_PRELUDE_BYTES:
            break
        if separator:
            return _parse(head, body_start)
    raise NoPrelude("no separator within the first 16 KiB")


def _parse(head: bytes, body_start: bytes) -> Prelude:
    try:
        fields = json.loads(head)
        status = int(fields.get("statusCode", 200))
        headers = _headers(fields)
    except (AttributeError, TypeError, ValueError) as error:
        raise NoPrelude(str(error)) from error
    if not 100 <= status <= 599:
        raise NoPrelude(f"status {status}")
    return Prelude(status, headers, body_start)


def _headers(fields: dict[str, Any]) -> dict[str, str | list[str]]:
    headers: dict[str, str | list[str]] = {"content-type": "application/json"}
    for name, value in (fields.get("headers") or {}).items():
        headers[name.lower()] = str(value)
    for name, values in (fields.get("multiValueHeaders") or {}).items():
        headers[name.lower()] = [str(value) for value in values]
    if cookies := fields.get("cookies"):
        headers["set-cookie"] = [str(cookie) for cookie in cookies]
    if "www-authenticate" in headers:
        headers[f"{_REMAPPED}www-authenticate"] = headers.pop("www-authenticate")
    return {name: value for name, value in headers.items() if name not in _NOT_PASSED_ON}
