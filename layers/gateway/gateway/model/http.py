"""HTTP as plain values: what providers render and parse, and the outbound adapter carries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`headers`: names in lower case. `body`: bytes as sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """`headers`: names in lower case. `body`: decompressed."""

    status: int
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)


class Credential(NamedTuple):
    """What opens a provider's door. `base_url`: instead of the provider's public one, None for that one."""

    api_key: Secret
    base_url: str | None = None
