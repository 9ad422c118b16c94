"""Bodies of requests that run as jobs, in the bucket of files under jobs/<tenant>/<job>, dropped at the job's end, and
of their replies, under replies/<tenant>/<job>, dropped when they have been kept as long as promised.

What is not dropped the bucket's lifecycle removes, of either in its own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.s3 import Bucket
from gateway.model.errors import JobExpired, StorageUnavailable
from gateway.model.http import HttpRequest
from gateway.model.job import Job


class S3Payloads:
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def put(self, job: Job, body: bytes) -> None:
        with _translated():
            await self._bucket.send(HttpRequest("PUT", self._url(job), {}, body))

    async def get(self, job: Job) -> bytes:
        with _translated():
            answer = await self._bucket.send(HttpRequest("GET", self._url(job), {}, b""))
            return answer.body

    async def drop(self, job: Job) -> None:
        with _translated():
            await self._bucket.send(HttpRequest("DELETE", self._url(job), {}, b""), also=(404,))

    async def keep_reply(self, job: Job, body: bytes) -> str:
        key = f"replies/{job.tenant_id}/{job.id}"
        with _translated():
            await self._bucket.send(HttpRequest("PUT", self._bucket.url(key), {}, body))
        return key

    async def reply(self, key: str) -> bytes:
        with _translated():
            answer = await self._bucket.send(HttpRequest("GET", self._bucket.url(key), {}, b""), also=(404,))
        if answer.status == 404:
            raise JobExpired("The job's result is gone.", param="job_id")
        return answer.body

    async def drop_reply(self, key: str) -> None:
        with _translated():
            await self._bucket.send(HttpRequest("DELETE", self._bucket.url(key), {}, b""), also=(404,))

    def _url(self, job: Job) -> str:
        return self._bucket.url(f"jobs/{job.tenant_id}/{job.id}")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(
            f"The job's request or reply cannot be stored or read at the moment ({failure.code})."
        ) from failure
