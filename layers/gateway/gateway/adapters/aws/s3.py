"""One S3 bucket over its REST API: sign, send, retry once on a fault."""

from __future__ import annotations

import asyncio
import hashlib
import html
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from msgspec import Struct

from gateway.adapters.aws.api import TRIES, AwsFailure
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.model.http import HttpRequest, HttpResponse
from gateway.ports import Clock
from gateway.providers.wire.sigv4 import Scope, presign, sign

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
# A request that loses a race for one key is to be sent again:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_RACES = ("ConditionalRequestConflict", "OperationAborted")


class Place(Struct, frozen=True):
    """`url`: of the bucket, without a slash at its end; its host is the one that clients reach."""

    bucket: str
    region: str
    url: str

    @classmethod
    def of(cls, bucket: str, region: str, local_endpoint: str) -> Place:
        """`local_endpoint`: of the local stack, which has one host for all buckets; empty on AWS."""
        url = f"{local_endpoint}/{bucket}" if local_endpoint else f"https://{bucket}.s3.{region}.amazonaws.com"
        return cls(bucket, region, url)


class Bucket:
    def __init__(self, place: Place, *, keys: RoleKeys, client: HttpClient, clock: Clock) -> None:
        self.place, self._scope = place, Scope(place.region, "s3")
        self._keys, self._client, self._clock = keys, client, clock

    def url(self, key: str, query: Mapping[str, str] | None = None) -> str:
        """`key` as it is, not encoded."""
        path = f"{self.place.url}/{quote(key, safe='/-_.~')}"
        return f"{path}?{urlencode(query, quote_via=quote)}" if query else path

    async def send(
        self,
        request: HttpRequest,
        *,
        also: tuple[int, ...] = (),
        timeout_s: float = TIMEOUT_S,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpResponse:
        """The answer with a status of 2xx or one of `also`; `timeout_s` is for two tries together.

        Raises AwsFailure, with code "TooLarge" when the answer has more than `max_bytes`.
        """
        end_s = self._clock.monotonic_s() + timeout_s
        for remaining in reversed(range(TRIES)):
            try:
                async with asyncio.timeout(end_s - self._clock.monotonic_s()):
                    answer = await self._send(request, max_bytes)
                if answer.status < 300 or answer.status in also:
                    return answer
                raise failure_of(answer)
            except TimeoutError as error:
                raise AwsFailure("Timeout", is_fault=True) from error
            except AwsFailure as failure:
                if not (failure.is_fault and remaining):
                    raise
        raise AssertionError("the last try either returned or raised")

    async def presigned(self, request: HttpRequest, lifetime_s: int) -> str:
        """Raises AwsFailure."""
        try:
            keys = await self._keys.current()
        except HttpFailure as failure:
            raise AwsFailure("NoKeys", is_fault=True) from failure
        return presign(request, keys, self._scope, self._now(), lifetime_s)

    async def _send(self, request: HttpRequest, max_bytes: int) -> HttpResponse:
        """`max_bytes` is not for what S3 says of a failure."""
        try:
            async with self._client.open(await self._signed(request)) as incoming:
                return await incoming.whole(max_bytes if incoming.status < 300 else MAX_ANSWER_BYTES)
        except HttpFailure as failure:
            raise AwsFailure(failure.kind, is_fault=failure.kind != "TooLarge") from failure

    async def _signed(self, request: HttpRequest) -> HttpRequest:
        headers = {**request.headers, "x-amz-content-sha256": hashlib.sha256(request.body).hexdigest()}
        unsigned = HttpRequest(request.method, request.url, headers, request.body)
        return sign(unsigned, await self._keys.current(), self._scope, self._now())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_s(), UTC)


def failure_of(answer: HttpResponse) -> AwsFailure:
    """`<Error><Code>NoSuchBucket</Code>...`; an answer to HEAD has no body."""
    code = text_of(answer.body, "Code") or f"Status{answer.status}"
    return AwsFailure(code, is_fault=answer.status >= 500 or code in _RACES)


def text_of(body: bytes, element: str) -> str | None:
    """What stands in the first XML element of that name, which has neither attributes nor children."""
    _, found, rest = body.decode(errors="replace").partition(f"<{element}>")
    return html.unescape(rest.partition(f"</{element}>")[0]) if found else None
