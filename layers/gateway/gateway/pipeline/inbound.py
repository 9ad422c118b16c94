"""What a front door hands over."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_TRUE, _RAW_NULL = msgspec.Raw(b"true"), msgspec.Raw(b"null")
_WAIT = re.compile(r'wait\s*=\s*"?(\d{1,6})"?')


class Inbound(msgspec.Struct, frozen=True):
    """Some headers, "" where there is none of that name, and the body as received. `path`: of the route.

    `called`: of the route that was called, where what it brought is meant for another.
    `wait_s`: how long the caller would wait for what takes long, None when it does not say.
    """

    authorization: str
    content_type: str
    body: bytes
    accept: str = ""
    path: str = ""
    called: str = ""
    idempotency_key: str = ""
    wait_s: int | None = None


def prefers_async(prefer: str) -> bool:
    """`prefer`: the header. https://www.rfc-editor.org/rfc/rfc7240#section-4.1"""
    return "respond-async" in _preferences(prefer)


def preferred_wait_s(prefer: str) -> int | None:
    """`prefer`: the header. https://www.rfc-editor.org/rfc/rfc7240#section-4.3"""
    waits = (_WAIT.fullmatch(one) for one in _preferences(prefer))
    return next((int(wait[1]) for wait in waits if wait is not None), None)


def _preferences(prefer: str) -> list[str]:
    return [one.partition(";")[0].strip().lower() for one in prefer.split(",")]


def as_job(content_type: str, body: bytes) -> bytes:
    """The body of a request that may run as a job. Streams are not, nor what says itself whether it wants to."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return body
    try:
        members: dict[str, Any] = _MEMBERS.decode(body)
    except msgspec.DecodeError:
        return body  # whoever reads it says what is wrong with it
    if members.get("async", _RAW_NULL) != _RAW_NULL or members.get("stream") == _RAW_TRUE or "stream_format" in members:
        return body
    return msgspec.json.encode({**members, "async": True})
