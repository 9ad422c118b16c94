"""The media fetch function: other functions invoke it with a URL, it stores what is there. It holds no secret.

Event:  {"url": "https://…", "max_bytes": 20000000, "timeout_s": 20, "accept": ["image/", "application/pdf"],
         "put": {"bucket": "…", "key": "fetched/…"}}
Result: {"status": "ok" | "refused" | "failed", "code", "reason", "content_type", "size_bytes", "sha256"}

When it is ok, `code` and `reason` are null, else the last three. What is refused stays so, what failed may not.
It takes at most `timeout_s` and ten seconds more, for storing. An event of another shape is a defect of whoever sent
it and fails the invocation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.clock import SystemClock
from gateway.adapters.guarded_fetch.address import local_exempt
from gateway.adapters.guarded_fetch.fetch import Fetched, GuardedFetch, Limits
from gateway.adapters.guarded_fetch.refusal import Failed, NotFetched
from gateway.adapters.http_client import HttpClient
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.failure import describe, log
from gateway.entry.runtime.handler import EventHandler
from gateway.entry.runtime.snapshot import after_restore
from gateway.model.http import HttpRequest
from gateway.ports import Clock

MAX_BYTES = 50 * 1024 * 1024
MAX_TIMEOUT_S = 50.0
STORE_TIMEOUT_S = 10.0
FindBucket: TypeAlias = Callable[[str], Bucket]


class Put(Struct, frozen=True, forbid_unknown_fields=True):
    bucket: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\Z")]
    key: Annotated[str, Meta(pattern=r"^fetched(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+\Z", max_length=512)]


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    max_bytes: Annotated[int, Meta(ge=1, le=MAX_BYTES)]
    timeout_s: Annotated[float, Meta(gt=0, le=MAX_TIMEOUT_S)]
    accept: Annotated[list[Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]*\Z")]], Meta(min_length=1)]
    put: Put


class Result(msgspec.Struct, frozen=True):
    status: str
    code: str | None = None
    reason: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None


class MediaFetch:
    def __init__(self, fetcher: GuardedFetch, find_bucket: FindBucket, clock: Clock) -> None:
        self._fetcher, self._find_bucket, self._clock = fetcher, find_bucket, clock

    async def handle(self, event: Any, invocation: Invocation) -> dict[str, Any]:
        """Raises msgspec.ValidationError for an event of another shape."""
        order = msgspec.convert(event, Order)
        started_s = self._clock.monotonic_s()
        cause: dict[str, Any] | None = None
        try:
            result = await self._run(order)
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
            duration_ms=round((self._clock.monotonic_s() - started_s) * 1000),
            cause=cause,
        )
        return asdict(result)

    async def _run(self, order: Order) -> Result:
        limits = Limits(order.max_bytes, order.timeout_s, tuple(order.accept))
        fetched = await self._fetcher.fetch(order.url, limits)
        await self._store(order.put, fetched)
        return Result("ok", None, None, fetched.content_type, len(fetched.body), fetched.sha256)

    async def _store(self, put: Put, fetched: Fetched) -> None:
        bucket = self._find_bucket(put.bucket)
        request = HttpRequest("PUT", bucket.url(put.key), {"content-type": fetched.content_type}, fetched.body)
        try:
            await bucket.send(request, timeout_s=STORE_TIMEOUT_S)
        except AwsFailure as failure:
            raise Failed("storage_failed", "The content cannot be stored at the moment.") from failure


def media_fetch_handler() -> EventHandler:
    """What Lambda calls."""
    clock, client = SystemClock(), HttpClient()
    after_restore(client.aclose)
    keys = RoleKeys(client, clock)

    def find_bucket(name: str) -> Bucket:
        place = Place.of(name, os.environ["AWS_REGION"], os.environ.get("GATEWAY_LOCAL_ENDPOINT", ""))
        return Bucket(place, keys=keys, client=client, clock=clock)

    return EventHandler(MediaFetch(GuardedFetch(exempt=local_exempt(os.environ)), find_bucket, clock).handle)
