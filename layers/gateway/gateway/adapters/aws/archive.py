"""The archive: gzip-compressed JSON lines in S3, <folder>/dt=<day>/<hash of the lines>.jsonl.gz."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.s3 import Bucket
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest
from gateway.ports import Clock

_encode_lines = msgspec.json.Encoder().encode_lines
TIMEOUT_S = 10.0


class S3Archive:
    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket, self._clock = bucket, clock

    async def store(self, folder: str, day: str, lines: Sequence[Mapping[str, Any]]) -> None:
        """Each line gets `archived_at_s`, which tells the first of several with one id."""
        name = hashlib.sha256(_encode_lines(lines)).hexdigest()[:32]
        now_s = round(self._clock.now_s(), 3)
        stamped = [{**line, "archived_at_s": now_s} for line in lines]
        body = gzip.compress(_encode_lines(stamped), mtime=0)
        # A bucket that locks its objects takes none without a checksum:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {"content-type": "application/gzip", "x-amz-checksum-sha256": checksum}
        url = self._bucket.url(f"{folder}/dt={day}/{name}.jsonl.gz")
        try:
            await self._bucket.send(HttpRequest("PUT", url, headers, body), timeout_s=TIMEOUT_S)
        except AwsFailure as failure:
            raise StorageUnavailable(f"The archive cannot be written at the moment ({failure.code}).") from failure
