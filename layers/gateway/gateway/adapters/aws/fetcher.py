"""Media from the internet, by the media fetch function: it has no secrets, reads the URL and stores what is there."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.s3 import Bucket
from gateway.adapters.http_client import HttpClient, HttpFailure
from gateway.model.errors import InvalidRequest, MediaNotFound, StorageUnavailable
from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest
from gateway.ports import Clock
from gateway.providers.wire.sigv4 import Scope, sign

FETCH_TIMEOUT_S = 20.0
INVOKE_TIMEOUT_S = 35.0  # 20 for the fetch, 10 for storing it, and a cold start
MAX_RESULT_BYTES = 64 * 1024
_UNAVAILABLE = "Media cannot be fetched at the moment."


class _Result(msgspec.Struct):
    status: str
    code: str | None = None
    reason: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class FetchFunction:
    """`url`: endpoint of the Lambda API, without a slash at its end. `name`: of the function, with its alias."""

    url: str
    name: str
    region: str


class LambdaMediaFetcher:
    """Each fetch has a key of its own below `fetched/<tenant>/`, which a lifecycle rule removes after a day."""

    def __init__(
        self, function: FetchFunction, bucket: Bucket, *, keys: RoleKeys, client: HttpClient, clock: Clock
    ) -> None:
        self._function, self._bucket = function, bucket
        self._keys, self._client, self._clock = keys, client, clock

    async def fetch(
        self, tenant_id: str, url: str, accepted: tuple[str, ...], max_bytes: int, param: str
    ) -> StoredFile:
        key = f"fetched/{tenant_id}/{secrets.token_hex(16)}"
        order = {
            "url": url,
            "max_bytes": max_bytes,
            "timeout_s": FETCH_TIMEOUT_S,
            "accept": accepted,
            "put": {"bucket": self._bucket.place.bucket, "key": key},
        }
        result = await self._invoke(msgspec.json.encode(order))
        if result.code == "storage_failed":
            raise StorageUnavailable(_UNAVAILABLE)
        if result.status == "refused":
            raise InvalidRequest(f"This URL is not read: {result.reason}", param=param)
        if result.status != "ok":
            raise MediaNotFound(f"The URL could not be read: {result.reason}", param=param)
        try:
            stored = await self._bucket.send(HttpRequest("GET", self._bucket.url(key), {}), max_bytes=max_bytes)
        except AwsFailure as failure:
            raise StorageUnavailable(_UNAVAILABLE) from failure
        return StoredFile(stored.body, result.content_type or "", "")

    async def _invoke(self, payload: bytes) -> _Result:
        path = f"/2015-03-31/functions/{quote(self._function.name, safe='')}/invocations"
        request = HttpRequest("POST", self._function.url + path, {"content-type": "application/json"}, payload)
        now = datetime.fromtimestamp(self._clock.now_s(), UTC)
        try:
            signed = sign(request, await self._keys.current(), Scope(self._function.region, "lambda"), now)
            answer = await self._client.send(signed, INVOKE_TIMEOUT_S, MAX_RESULT_BYTES)
        except HttpFailure as failure:
            raise StorageUnavailable(_UNAVAILABLE) from failure
        if answer.status != 200 or "x-amz-function-error" in answer.headers:
            raise StorageUnavailable(_UNAVAILABLE)
        return msgspec.json.decode(answer.body, type=_Result)
