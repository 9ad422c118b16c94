"""Lines, crates and results of batches, in the bucket of files under batches/<tenant>/<batch>:

    lines/<part>               JSONL, dropped when the part is done
    packed/<crate>             items of a provider's batch; kept/<crate>: what is needed to give the replies to them.
                               Both are dropped when all of them have ended
    results/<part>/<piece>     JSONL, each written once and for all
    errors                     what is wrong with the input

What is not dropped the bucket's lifecycle removes.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.s3 import Bucket
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest

TIMEOUT_S = 25.0
MAX_OBJECT_BYTES = 512 * 1024 * 1024


class S3BatchStore:
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def put_lines(self, tenant_id: str, batch_id: str, part: str, data: bytes) -> None:
        await self._put(_key(tenant_id, batch_id, "lines", part), data)

    async def lines(self, tenant_id: str, batch_id: str, part: str) -> bytes:
        return await self._there(_key(tenant_id, batch_id, "lines", part))

    async def drop_lines(self, tenant_id: str, batch_id: str, part: str) -> None:
        await self._drop(_key(tenant_id, batch_id, "lines", part))

    async def put_crate(self, tenant_id: str, batch_id: str, crate: str, items: bytes, kept: bytes) -> None:
        await self._put(_key(tenant_id, batch_id, "kept", crate), kept)
        await self._put(_key(tenant_id, batch_id, "packed", crate), items)

    async def crate(self, tenant_id: str, batch_id: str, crate: str) -> bytes:
        return await self._there(_key(tenant_id, batch_id, "packed", crate))

    async def kept(self, tenant_id: str, batch_id: str, crate: str) -> bytes:
        return await self._there(_key(tenant_id, batch_id, "kept", crate))

    async def drop_crate(self, tenant_id: str, batch_id: str, crate: str) -> None:
        for folder in ("packed", "kept"):
            await self._drop(_key(tenant_id, batch_id, folder, crate))

    async def put_piece(self, tenant_id: str, batch_id: str, part: str, piece: int, data: bytes) -> bool:
        key = _key(tenant_id, batch_id, "results", part, f"{piece:05}")
        request = HttpRequest("PUT", self._bucket.url(key), {"if-none-match": "*"}, data)
        with _translated():
            answer = await self._bucket.send(request, also=(412,), timeout_s=TIMEOUT_S)
        return answer.status != 412 or await self._get(key) == data

    async def piece(self, tenant_id: str, batch_id: str, part: str, piece: int) -> bytes | None:
        return await self._get(_key(tenant_id, batch_id, "results", part, f"{piece:05}"))

    async def put_errors(self, tenant_id: str, batch_id: str, data: bytes) -> None:
        await self._put(_key(tenant_id, batch_id, "errors"), data)

    async def errors(self, tenant_id: str, batch_id: str) -> bytes | None:
        return await self._get(_key(tenant_id, batch_id, "errors"))

    async def _put(self, key: str, data: bytes) -> None:
        with _translated():
            await self._bucket.send(HttpRequest("PUT", self._bucket.url(key), {}, data), timeout_s=TIMEOUT_S)

    async def _drop(self, key: str) -> None:
        with _translated():
            await self._bucket.send(HttpRequest("DELETE", self._bucket.url(key), {}), also=(404,))

    async def _there(self, key: str) -> bytes:
        found = await self._get(key)
        if found is None:
            raise StorageUnavailable("What a batch's lines are cannot be read at the moment.")
        return found

    async def _get(self, key: str) -> bytes | None:
        request = HttpRequest("GET", self._bucket.url(key), {})
        with _translated():
            answer = await self._bucket.send(request, also=(404,), timeout_s=TIMEOUT_S, max_bytes=MAX_OBJECT_BYTES)
        return None if answer.status == 404 else answer.body


def _key(tenant_id: str, batch_id: str, *names: str) -> str:
    return "/".join(("batches", tenant_id, batch_id, *names))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(
            f"What belongs to a batch cannot be stored or read at the moment ({failure.code})."
        ) from failure
