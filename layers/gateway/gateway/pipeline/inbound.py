"""What a front door hands over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inbound:
    """Some headers, "" where there is none of that name, and the body as received."""

    authorization: str
    content_type: str
    body: bytes
    accept: str = ""
