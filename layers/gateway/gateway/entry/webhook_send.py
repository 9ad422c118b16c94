"""The webhook send function: the job task invokes it with a signed message, it POSTs that. It holds no secret.

Event:  {"url": "https://…", "headers": {"content-type", "webhook-id", "webhook-timestamp", "webhook-signature"},
         "body": "{…}", "timeout_s": 10}
Result: {"status": "answered" | "refused" | "failed", "code", "http_status", "retry_after"}

The last two are the receiver's, where it answered; `code` says why it did not. What is refused stays so, what failed
may not. An event of another shape is a defect of whoever sent it and fails the invocation.
"""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from gateway.adapters.clock import SystemClock
from gateway.adapters.guarded_fetch.address import local_exempt
from gateway.adapters.guarded_fetch.post import GuardedPost
from gateway.adapters.guarded_fetch.refusal import Failed, NotFetched
from gateway.adapters.http_client import HttpClient
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.failure import log
from gateway.entry.runtime.handler import EventHandler
from gateway.entry.runtime.snapshot import after_restore, before_snapshot
from gateway.model.http import HttpResponse
from gateway.ports import Clock

MAX_TIMEOUT_S = 30.0
MAX_BODY_CHARACTERS = 64 * 1024
MAX_RETRY_AFTER_CHARACTERS = 64
HeaderName: TypeAlias = Literal["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"]
HeaderValue: TypeAlias = Annotated[str, Meta(pattern=r"^[ -~]+\Z", max_length=4_096)]


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    headers: dict[HeaderName, HeaderValue]
    body: Annotated[str, Meta(max_length=MAX_BODY_CHARACTERS)]
    timeout_s: Annotated[float, Meta(gt=0, le=MAX_TIMEOUT_S)]


class Result(msgspec.Struct, frozen=True):
    status: str
    code: str | None = None
    http_status: int | None = None
    retry_after: str | None = None


class WebhookSend:
    def __init__(self, post: GuardedPost, clock: Clock) -> None:
        self._post, self._clock = post, clock

    async def handle(self, event: Any, invocation: Invocation) -> dict[str, Any]:
        """Raises msgspec.ValidationError for an event of another shape."""
        order = msgspec.convert(event, Order)
        started_s = self._clock.monotonic_s()
        try:
            answer = await self._delivered(order)
            waits = answer.headers.get("retry-after", "")[:MAX_RETRY_AFTER_CHARACTERS]
            result = Result("answered", None, answer.status, waits or None)
        except NotFetched as refusal:
            result = Result(refusal.status, refusal.code)
        log(
            "INFO",
            "webhook_send",
            request_id=invocation.request_id,
            webhook_id=order.headers.get("webhook-id"),
            status=result.status,
            code=result.code,
            http_status=result.http_status,
            duration_ms=round((self._clock.monotonic_s() - started_s) * 1000),
        )
        return asdict(result)

    async def _delivered(self, order: Order) -> HttpResponse:
        """Raises Refused and Failed."""
        headers = {str(name): value for name, value in order.headers.items()}
        try:
            async with asyncio.timeout(order.timeout_s):
                return await self._post.deliver(order.url, headers, order.body.encode())
        except TimeoutError:
            raise Failed("timeout", "The site did not answer in time.") from None


def webhook_send_handler() -> EventHandler:
    """What Lambda calls."""
    clock, client = SystemClock(), HttpClient()
    post = GuardedPost(client, clock, exempt=local_exempt(os.environ))
    before_snapshot(post.forget)
    after_restore(client.aclose)
    return EventHandler(WebhookSend(post, clock).handle)
