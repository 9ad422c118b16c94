"""An object of unknown size into S3, a part at a time, so that memory stays small whatever comes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.s3 import Bucket, failure_of, text_of
from gateway.model.http import HttpRequest

PART_BYTES = 8 * 1024 * 1024  # at least 5 MiB, and at most 10,000 of them
PART_TIMEOUT_S = 30.0
COMPLETE_TIMEOUT_S = 30.0


async def put_in_parts(bucket: Bucket, url: str, headers: dict[str, str], chunks: AsyncIterator[bytes]) -> int:
    """How many bytes came. What fits into one part is put at once. Raises AwsFailure, and what `chunks` raises."""
    parts = _parts(chunks)
    first = await anext(parts, b"")
    if len(first) < PART_BYTES:
        await bucket.send(HttpRequest("PUT", url, headers, first), timeout_s=PART_TIMEOUT_S)
        return len(first)
    begun = await bucket.send(HttpRequest("POST", f"{url}?uploads=", headers))
    upload_id = text_of(begun.body, "UploadId")
    if upload_id is None:
        raise AwsFailure("NoUploadId", is_fault=True)
    upload = _Upload(bucket, url, upload_id)
    try:
        await upload.put(first)
        del first
        async for part in parts:
            await upload.put(part)
        await upload.complete()
    except BaseException:  # a cancelled one too: parts cost until they are aborted
        await asyncio.shield(upload.abort())
        raise
    return upload.size_bytes


class _Upload:
    def __init__(self, bucket: Bucket, url: str, upload_id: str) -> None:
        self._bucket, self._url, self._id = bucket, url, upload_id
        self._etags: list[str] = []
        self.size_bytes = 0

    async def put(self, part: bytes) -> None:
        query = f"partNumber={len(self._etags) + 1}&uploadId={self._id}"
        request = HttpRequest("PUT", f"{self._url}?{query}", {}, part)
        answer = await self._bucket.send(request, timeout_s=PART_TIMEOUT_S)
        self._etags.append(answer.headers["etag"])
        self.size_bytes += len(part)

    async def complete(self) -> None:
        """It may fail after a status of 200, and says so in its body; when its answer was lost, the second try finds no
        such upload, and the object tells: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        """
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in enumerate(self._etags, 1)
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        request = HttpRequest("POST", f"{self._url}?uploadId={self._id}", {"content-type": "application/xml"}, body)
        answer = await self._bucket.send(request, also=(404,), timeout_s=COMPLETE_TIMEOUT_S)
        if answer.status == 404:
            await self._bucket.send(HttpRequest("HEAD", self._url, {}))
        elif text_of(answer.body, "Code"):
            raise failure_of(answer)

    async def abort(self) -> None:
        """A lifecycle rule aborts what could not be aborted here."""
        try:
            await self._bucket.send(HttpRequest("DELETE", f"{self._url}?uploadId={self._id}", {}), also=(404,))
        except AwsFailure:
            return


async def _parts(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Of PART_BYTES each but for the last one, which is never empty unless it is the only one."""
    gathered = bytearray()
    async for chunk in chunks:
        gathered += chunk
        while len(gathered) >= PART_BYTES:
            part = bytes(memoryview(gathered)[:PART_BYTES])
            del gathered[:PART_BYTES]
            yield part
    if gathered:
        yield bytes(gathered)
