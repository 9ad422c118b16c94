"""What a front door hands over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_TRUE = msgspec.Raw(b"true")
_BOUNDARY = re.compile(r'boundary="?([^";,]+)', re.IGNORECASE)
_SAYS_ITSELF = re.compile(rb'form-data; name="?(?:async|stream|stream_format)"?\r\n')


@dataclass(frozen=True, slots=True)
class Inbound:
    """Some headers, "" where there is none of that name, and the body as received. `path`: of the route."""

    authorization: str
    content_type: str
    body: bytes
    accept: str = ""
    path: str = ""
    idempotency_key: str = ""


def prefers_async(prefer: str) -> bool:
    """`prefer`: the header. https://www.rfc-editor.org/rfc/rfc7240#section-4.1"""
    preferences = (one.partition(";")[0].strip().lower() for one in prefer.split(","))
    return "respond-async" in preferences


def as_job(content_type: str, body: bytes) -> bytes:
    """The body of a request that may run as a job. Streams are not, nor what says itself whether it wants to."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _form_as_job(content_type, body)
    if kind != "application/json":
        return body
    try:
        members: dict[str, Any] = _MEMBERS.decode(body)
    except msgspec.DecodeError:
        return body  # whoever reads it says what is wrong with it
    if "async" in members or members.get("stream") == _RAW_TRUE or "stream_format" in members:
        return body
    return msgspec.json.encode({**members, "async": True})


def _form_as_job(content_type: str, body: bytes) -> bytes:
    """With one field more, before all others."""
    found = _BOUNDARY.search(content_type)
    first = f"--{found[1]}\r\n".encode() if found else b""
    if not first or not body.startswith(first) or _SAYS_ITSELF.search(body):
        return body
    return first + b'Content-Disposition: form-data; name="async"\r\n\r\ntrue\r\n' + body
