"""Files of tenants in one S3 bucket, without a table: what is known of a file stands on its object.

    files/<tenant>/<file id>        whole files
    pending/<tenant>/<file id>      announcements, empty objects         a lifecycle rule removes these three
    uploads/<tenant>/<file id>      what clients put by upload links     a day after they came
    idempotency/<tenant>/<hash>     which file id a key made first

An upload link never leads to a whole file, so what has been checked cannot be replaced by what has not.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import quote, unquote

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.multipart import put_in_parts
from gateway.adapters.aws.s3 import Bucket, failure_of, text_of
from gateway.model.errors import FileNotFound, PayloadTooLarge, StorageUnavailable
from gateway.model.file import (
    MAX_CHECKED_BYTES,
    File,
    FilePage,
    Link,
    Origin,
    Purpose,
    StoredFile,
    Uploaded,
    is_file_id,
    is_forgotten,
    may_be_uploaded,
    purpose_of,
)
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.idempotency_errors import IdempotencyConflict
from gateway.ports import Clock

DOWNLOAD_S = 600
UPLOAD_S = 900
BULK_TIMEOUT_S = 25.0
_HEADS_AT_ONCE = 32
_KEYS_PER_LISTING = 1000


class S3Files:
    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket, self._clock = bucket, clock

    async def head(self, tenant_id: str, file_id: str) -> File:
        found: File | None = None
        with _translated():
            if is_file_id(file_id):
                found = await self._known("files", tenant_id, file_id)
                if found is None and may_be_uploaded(file_id):
                    found = await self._known("pending", tenant_id, file_id)
        if found is None:
            raise not_found(file_id)
        return found

    async def get(self, tenant_id: str, file_id: str, max_bytes: int) -> StoredFile:
        if not is_file_id(file_id):
            raise not_found(file_id)
        request = HttpRequest("GET", self._url("files", tenant_id, file_id), {})
        with _translated(f"The file {file_id} is larger than {max_bytes} bytes."):
            answer = await self._bucket.send(request, also=(404,), timeout_s=BULK_TIMEOUT_S, max_bytes=max_bytes)
        file = None if answer.status == 404 else self._alive(_file(file_id, answer))
        if file is None:
            raise not_found(file_id)
        return StoredFile(answer.body, file.content_type, file.filename)

    async def stretch(self, tenant_id: str, file_id: str, start: int, size_bytes: int) -> bytes:
        wanted = {"range": f"bytes={start}-{start + size_bytes - 1}"}
        request = HttpRequest("GET", self._url("files", tenant_id, file_id), wanted)
        if not is_file_id(file_id):
            raise not_found(file_id)
        with _translated():
            answer = await self._bucket.send(request, also=(404, 416), timeout_s=BULK_TIMEOUT_S, max_bytes=size_bytes)
        if answer.status == 404 or (answer.status < 300 and self._alive(_file(file_id, answer)) is None):
            raise not_found(file_id)
        return b"" if answer.status == 416 else answer.body

    async def put(self, tenant_id: str, file: File, data: bytes) -> None:
        with _translated():
            url = self._url("files", tenant_id, file.id)
            request = HttpRequest("PUT", url, {**_told(file), **_tagged(file)}, data)
            await self._bucket.send(request, timeout_s=BULK_TIMEOUT_S)

    async def put_stream(self, tenant_id: str, file: File, chunks: AsyncIterator[bytes]) -> int:
        headers = {**_told(file), **_tagged(file)}
        with _translated():
            return await put_in_parts(self._bucket, self._url("files", tenant_id, file.id), headers, chunks)

    async def delete(self, tenant_id: str, file_id: str) -> None:
        """Only where it can be: who makes files may touch no others than whole ones."""
        if is_file_id(file_id):
            folders = ("files", "pending", "uploads") if may_be_uploaded(file_id) else ("files",)
            with _translated():
                await self._remove(tenant_id, file_id, *folders)

    async def page(self, tenant_id: str, limit: int, after: str | None, purpose: Purpose | None) -> FilePage:
        files: list[File] = []
        with _translated():
            while True:
                wanted = limit - len(files)
                ids = await self._ids(tenant_id, wanted + 1, after, purpose)
                files += await self._all_known(tenant_id, ids[:wanted])  # fewer where some have expired
                has_more = len(ids) > wanted
                if len(files) == limit or not has_more:
                    return FilePage(files, has_more)
                after = ids[wanted - 1]

    async def link(self, tenant_id: str, file: File) -> Link:
        disposition = f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}"
        url = self._bucket.url(_key("files", tenant_id, file.id), {"response-content-disposition": disposition})
        return await self._signed("GET", url, {}, DOWNLOAD_S)

    def id_in(self, url: str) -> str | None:
        path, _, _ = url.partition("?")
        last = path.rpartition("/")[2]
        return last if path.startswith(f"{self._bucket.place.url}/files/") and is_file_id(last) else None

    async def announce(self, tenant_id: str, file: File) -> None:
        headers = {**_told(file), "x-amz-meta-size-bytes": str(file.size_bytes)}
        with _translated():
            await self._bucket.send(HttpRequest("PUT", self._url("pending", tenant_id, file.id), headers))

    async def upload_link(self, tenant_id: str, file: File) -> Link:
        """The length is signed, so S3 refuses any other."""
        length = {"content-length": str(file.size_bytes)}
        return await self._signed("PUT", self._url("uploads", tenant_id, file.id), length, UPLOAD_S)

    async def uploaded(self, tenant_id: str, file_id: str) -> Uploaded | None:
        start = {"range": f"bytes=0-{MAX_CHECKED_BYTES - 1}"}
        request = HttpRequest("GET", self._url("uploads", tenant_id, file_id), start)
        with _translated():
            answer = await self._bucket.send(
                request, also=(404, 416), timeout_s=BULK_TIMEOUT_S, max_bytes=MAX_CHECKED_BYTES
            )
        if answer.status == 404:
            return None
        size = answer.headers.get("content-range", "").rpartition("/")[2]  # 416, of an empty object: "bytes */0"
        is_found = answer.status < 300
        size_bytes = int(size) if size.isdigit() else len(answer.body) * is_found
        return Uploaded(size_bytes, answer.body if is_found else b"", answer.headers.get("etag", ""))

    async def adopt(self, tenant_id: str, file: File, version: str) -> None:
        """A copy within S3. It may fail after a status of 200 and says so in its body:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
        source = quote(f"{self._bucket.place.bucket}/{_key('uploads', tenant_id, file.id)}", safe="/-_.~")
        headers = {
            **_told(file),
            **_tagged(file),
            "x-amz-copy-source": source,
            "x-amz-copy-source-if-match": version,
            "x-amz-metadata-directive": "REPLACE",
            "x-amz-tagging-directive": "REPLACE",
        }
        with _translated():
            request = HttpRequest("PUT", self._url("files", tenant_id, file.id), headers)
            answer = await self._bucket.send(request, timeout_s=BULK_TIMEOUT_S)
            if text_of(answer.body, "Code"):
                raise failure_of(answer)
            await self._remove(tenant_id, file.id, "pending", "uploads")

    async def claim(self, tenant_id: str, key: str, fingerprint: str, file_id: str) -> str:
        url = self._url("idempotency", tenant_id, hashlib.sha256(key.encode()).hexdigest())
        told = {"x-amz-meta-file-id": file_id, "x-amz-meta-fingerprint": fingerprint}
        with _translated():
            first = await self._bucket.send(HttpRequest("PUT", url, {**told, "if-none-match": "*"}), also=(412,))
            if first.status != 412:
                return file_id
            claimed = (await self._bucket.send(HttpRequest("HEAD", url, {}))).headers
            claimed_id = claimed["x-amz-meta-file-id"]
            if is_forgotten(claimed_id, self._clock.now_s()):
                await self._bucket.send(HttpRequest("PUT", url, told))
                return file_id
        if claimed["x-amz-meta-fingerprint"] != fingerprint:
            raise IdempotencyConflict
        return claimed_id

    async def _known(self, folder: str, tenant_id: str, file_id: str) -> File | None:
        answer = await self._bucket.send(HttpRequest("HEAD", self._url(folder, tenant_id, file_id), {}), also=(404,))
        return None if answer.status == 404 else self._alive(_file(file_id, answer))

    async def _all_known(self, tenant_id: str, file_ids: list[str]) -> list[File]:
        turns = asyncio.Semaphore(_HEADS_AT_ONCE)

        async def known(file_id: str) -> File | None:
            async with turns:
                return await self._known("files", tenant_id, file_id)

        found = await asyncio.gather(*(known(file_id) for file_id in file_ids))
        return [file for file in found if file]

    async def _ids(self, tenant_id: str, limit: int, after: str | None, purpose: Purpose | None) -> list[str]:
        """S3 lists by key, and ids of newer files sort first."""
        prefix, found = _key("files", tenant_id, ""), list[str]()
        query = {"list-type": "2", "prefix": prefix, "start-after": f"{prefix}{after or ''}"}
        query["max-keys"] = str(_KEYS_PER_LISTING if purpose else min(limit, _KEYS_PER_LISTING))
        while True:
            answer = await self._bucket.send(HttpRequest("GET", self._bucket.url("", query), {}))
            listed = [key.removeprefix(prefix) for key in _keys_in(answer.body)]
            found += [one for one in listed if is_file_id(one) and purpose in (None, purpose_of(one))]
            if len(found) >= limit or text_of(answer.body, "IsTruncated") != "true":
                return found[:limit]
            query["start-after"] = f"{prefix}{listed[-1]}"

    async def _remove(self, tenant_id: str, file_id: str, *folders: str) -> None:
        requests = [HttpRequest("DELETE", self._url(folder, tenant_id, file_id), {}) for folder in folders]
        await asyncio.gather(*(self._bucket.send(request, also=(404,)) for request in requests))

    async def _signed(self, method: Literal["GET", "PUT"], url: str, headers: dict[str, str], lifetime_s: int) -> Link:
        with _translated():
            signed = await self._bucket.presigned(HttpRequest(method, url, headers), lifetime_s)
        return Link(method, signed, int(self._clock.now_s()) + lifetime_s, headers)

    def _alive(self, file: File) -> File | None:
        return None if file.is_expired(self._clock.now_s()) else file

    def _url(self, folder: str, tenant_id: str, name: str) -> str:
        return self._bucket.url(_key(folder, tenant_id, name))


def not_found(file_id: str) -> FileNotFound:
    return FileNotFound(f"No such file: '{file_id[:64]}'.", param="file_id")


def _key(folder: str, tenant_id: str, name: str) -> str:
    """The tenant is encoded, dots included, so that none can lead into another one's folder."""
    return f"{folder}/{quote(tenant_id, safe='').replace('.', '%2E')}/{name}"


def _told(file: File) -> dict[str, str]:
    """Headers that S3 keeps with an object; it takes ASCII only."""
    headers = {"content-type": file.content_type, "x-amz-meta-filename": quote(file.filename, safe="")}
    if file.expires_at_s is not None:
        headers["x-amz-meta-expires-at-s"] = str(file.expires_at_s)
    if file.origin is not None:
        headers["x-amz-meta-model"] = quote(file.origin.model, safe="/")
        headers["x-amz-meta-request-id"] = file.origin.request_id
    return headers


def _tagged(file: File) -> dict[str, str]:
    """Lifecycle rules know no dates, so one for this tag removes what expired long before."""
    return {} if file.expires_at_s is None else {"x-amz-tagging": "expires=yes"}


def _file(file_id: str, answer: HttpResponse) -> File:
    headers = answer.headers
    expires, announced = headers.get("x-amz-meta-expires-at-s"), headers.get("x-amz-meta-size-bytes")
    return File(
        id=file_id,
        filename=unquote(headers.get("x-amz-meta-filename", file_id)),
        content_type=headers.get("content-type", "application/octet-stream"),
        size_bytes=int(announced or headers["content-length"]),
        expires_at_s=None if expires is None else int(expires),
        is_pending=announced is not None,
        origin=_origin(headers),
    )


def _origin(headers: dict[str, str]) -> Origin | None:
    model, request_id = headers.get("x-amz-meta-model"), headers.get("x-amz-meta-request-id")
    return None if model is None or request_id is None else Origin(unquote(model), request_id)


_KEY = re.compile(rb"<Key>([^<]*)</Key>")


def _keys_in(listing: bytes) -> list[str]:
    """Keys of ours need no XML escapes. An XML parser would cost 15 ms at the first import."""
    return [key.decode() for key in _KEY.findall(listing)]


@contextmanager
def _translated(too_large: str = "") -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        if failure.code == "TooLarge":
            raise PayloadTooLarge(too_large) from failure
        raise StorageUnavailable(f"File storage does not answer at the moment ({failure.code}).") from failure
