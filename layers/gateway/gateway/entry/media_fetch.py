"""The media fetch function: other functions invoke it with a URL, it stores what is there. It holds no secret.

Event:  {"url": "https://…", "max_bytes": 20000000, "timeout_s": 20, "accept": ["image/", "application/pdf"],
         "put": {"bucket": "…", "key": "fetched/…"}}
Result: {"status": "ok" | "refused" | "failed", "code", "reason", "content_type", "size_bytes", "sha256"}

`code` and `reason` are null when it is ok, the last three are null when it is not. `refused` stays so, `failed` may not.
An event of another shape is a defect of whoever sent it and fails the invocation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import httpx
import msgspec
from msgspec import Meta, Struct

from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.clock import SystemClock
from gateway.adapters.guarded_fetch.address import NONE_EXEMPT, Exempt, read_exempt
from gateway.adapters.guarded_fetch.fetch import GuardedFetch, Limits
from gateway.adapters.guarded_fetch.refusal import NotFetched
from gateway.adapters.guarded_fetch.store import Place, S3Writer
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.failure import describe, log
from gateway.entry.runtime.handler import EventHandler

MAX_BYTES = 50 * 1024 * 1024
MAX_TIMEOUT_S = 60.0
KEY_PREFIX = "fetched/"


class Put(Struct, frozen=True, forbid_unknown_fields=True):
    bucket: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
    key: Annotated[str, Meta(pattern=rf"^{KEY_PREFIX}[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=512)]


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    max_bytes: Annotated[int, Meta(ge=1, le=MAX_BYTES)]
    timeout_s: Annotated[float, Meta(gt=0, le=MAX_TIMEOUT_S)]
    accept: Annotated[list[Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]*$")]], Meta(min_length=1)]
    put: Put


@dataclass(frozen=True, slots=True)
class Result:
    status: str
    code: str | None = None
    reason: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None


class MediaFetch:
    def __init__(self, fetcher: GuardedFetch, writer: S3Writer) -> None:
        self._fetcher, self._writer = fetcher, writer

    async def handle(self, event: Any, invocation: Invocation) -> dict[str, Any]:
        """Raises msgspec.ValidationError for an event of another shape."""
        order = msgspec.convert(event, Order)
        started_s = time.monotonic()
        cause: dict[str, Any] | None = None
        try:
            result = await self._fetch(order)
        except NotFetched as refusal:
            result = Result(refusal.status, refusal.code, refusal.reason)
            cause = describe(refusal.__cause__) if refusal.__cause__ else None
        log(
            "INFO",
            "media_fetch",
            request_id=invocation.request_id,
            status=result.status,
            code=result.code,
            content_type=result.content_type,
            size_bytes=result.size_bytes,
            duration_ms=round((time.monotonic() - started_s) * 1000),
            cause=cause,
        )
        return asdict(result)

    async def _fetch(self, order: Order) -> Result:
        fetched = await self._fetcher.fetch(order.url, Limits(order.max_bytes, order.timeout_s, tuple(order.accept)))
        await self._writer.put(Place(order.put.bucket, order.put.key), fetched.body, fetched.content_type)
        return Result("ok", content_type=fetched.content_type, size_bytes=len(fetched.body), sha256=fetched.sha256)


def media_fetch_handler() -> EventHandler:
    """What Lambda calls."""
    environment = os.environ
    clock = SystemClock()
    client = httpx.AsyncClient(trust_env=False)
    writer = S3Writer(
        environment["AWS_REGION"],
        environment.get("GATEWAY_LOCAL_ENDPOINT", ""),
        keys=RoleKeys(client, clock),
        client=client,
        clock=clock,
    )
    return EventHandler(MediaFetch(GuardedFetch(exempt=local_exempt(environment)), writer).handle)


def local_exempt(environment: Mapping[str, str]) -> Exempt:
    """Exceptions exist on the local stack only, whatever the setting says. Raises ValueError for one that is none."""
    if not environment.get("GATEWAY_LOCAL_ENDPOINT"):
        return NONE_EXEMPT
    return read_exempt(environment.get("GATEWAY_FETCH_EXCEPTIONS", ""))
