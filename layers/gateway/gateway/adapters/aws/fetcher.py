"""Media from the internet, by the media fetch function: it has no secrets, reads the URL and stores what is there."""

from __future__ import annotations

import secrets

import msgspec

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.invoke import LambdaApi
from gateway.adapters.aws.s3 import Bucket
from gateway.model.errors import InvalidRequest, MediaNotFound, StorageUnavailable
from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest

FETCH_TIMEOUT_S = 20.0
INVOKE_TIMEOUT_S = 35.0  # 20 for the fetch, 10 for storing it, and a cold start
MAX_RESULT_BYTES = 64 * 1024
_UNAVAILABLE = "Media cannot be fetched at the moment."


class _Result(msgspec.Struct):
    status: str
    code: str | None = None
    reason: str | None = None
    content_type: str | None = None


class LambdaMediaFetcher:
    """Each fetch has a key of its own below `fetched/<tenant>/`, which a lifecycle rule removes after a day.

    `function`: its name, with its alias.
    """

    def __init__(self, functions: LambdaApi, function: str, bucket: Bucket) -> None:
        self._functions, self._function, self._bucket = functions, function, bucket

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
        try:
            answer = await self._functions.invoke(self._function, payload, INVOKE_TIMEOUT_S, MAX_RESULT_BYTES)
        except AwsFailure as failure:
            raise StorageUnavailable(_UNAVAILABLE) from failure
        return msgspec.json.decode(answer, type=_Result)
