"""HTTP as plain values: what providers render and parse, and the outbound adapter carries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import ClassVar

from msgspec import Struct, field

from gateway.model.secret import AwsKeys, Secret
from gateway.model.unshown import Unshown

MAX_ANSWER_BYTES = 100 * 1024 * 1024
"""Of one answer of a provider that is read as a whole."""


class HttpRequest(Unshown, frozen=True):
    """`headers`: names in lower case. `body`: bytes as sent."""

    UNSHOWN: ClassVar = ("body",)

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""


class StreamedBody(Struct, frozen=True):
    """Of a request, in place of its own: `size_bytes` in all, read anew by whoever sends it again."""

    size_bytes: int
    chunks: Callable[[], AsyncIterator[bytes]]


class Sending(Struct):
    """How far a request came. `has_left`: there was a connection for it, so that somebody may have read it."""

    has_left: bool = False


class HttpResponse(Unshown, frozen=True):
    """`headers`: names in lower case. `body`: decompressed."""

    UNSHOWN: ClassVar = ("body",)

    status: int
    headers: dict[str, str]
    body: bytes = b""


class Credential(Struct, frozen=True):
    """What opens a provider's door.

    `base_url`: instead of the provider's public one, None for that one. `aws_keys`: of the gateway's own role, for a
    provider inside AWS. `access_token`: short-lived, got for an account whose secret is no API key. `settings`: what
    else the owner stored with the key (region, project, API version). `max_concurrent`: how many calls at a time may be
    made with it, None: any number.
    """

    api_key: Secret
    base_url: str | None = None
    aws_keys: AwsKeys | None = None
    access_token: Secret | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    max_concurrent: int | None = None
