"""Job records in DynamoDB, one item each; every change is on condition that it is the last one's successor.

Item pk T#<tenant>, sk <job id>: `document` (JSON text), `revision`, `status`, and `ends_at_s`, when DynamoDB may remove
it. A job on which there is still work is in the index `due` besides, by `due_shard` and `due_at_s`: when somebody
should look.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from secrets import randbelow
from typing import Any
from zlib import crc32

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.telemetry import log_trouble
from gateway.job_ports import LAST, JobPage
from gateway.model.errors import JobNotFound, StorageUnavailable
from gateway.model.job import TOMBSTONE_S, Claim, Job, Status

TIMEOUT_S = 2.0
DUE_SHARDS = 8
FILTERED_AT_ONCE = 200
"""How many are read at a time where only those of one status are wanted."""
_REFUSED = "ConditionalCheckFailedException"
_decode = msgspec.json.Decoder(Job).decode
_decode_claim = msgspec.json.Decoder(Claim).decode
_CLAIM = "~key#"
"""What a claim's sort key begins with: after every job's, so that lists of jobs end before it."""


class DynamoJobs:
    def __init__(self, dynamodb: AwsApi, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    async def create(self, job: Job, due_at_s: int) -> None:
        request = self._put(job, due_at_s)
        request["ConditionExpression"] = "attribute_not_exists(pk)"
        with _translated():
            try:
                await self._dynamodb.call("PutItem", request, TIMEOUT_S)
            except AwsFailure as failure:
                if failure.code != _REFUSED or await self._find(job.tenant_id, job.id) != job:
                    raise  # else a first try came through without an answer

    async def claim(self, tenant_id: str, key_hash: str, claim: Claim, ends_at_s: int) -> Claim:
        document, ends = {"S": msgspec.json.encode(claim).decode()}, {"N": str(ends_at_s)}
        item = {**_claim_key(tenant_id, key_hash), "document": document, "ends_at_s": ends}
        request = {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        with _translated():
            try:
                await self._dynamodb.call("PutItem", request, TIMEOUT_S)
            except AwsFailure as failure:
                if failure.code != _REFUSED:
                    raise
                return await self._find_claim(tenant_id, key_hash) or claim
        return claim

    async def claimed(self, tenant_id: str, key_hash: str) -> Claim | None:
        with _translated():
            return await self._find_claim(tenant_id, key_hash)

    async def _find_claim(self, tenant_id: str, key_hash: str) -> Claim | None:
        request = {"TableName": self._table, "Key": _claim_key(tenant_id, key_hash), "ConsistentRead": True}
        answer = await self._dynamodb.call("GetItem", request, TIMEOUT_S)
        return _decode_claim(answer["Item"]["document"]["S"]) if "Item" in answer else None

    async def get(self, tenant_id: str, job_id: str) -> Job:
        with _translated():
            job = await self._find(tenant_id, job_id)
        if job is None:
            raise JobNotFound(f"No such job: '{job_id}'.", param="job_id")
        return job

    async def change(self, job: Job, due_at_s: int | None = None) -> bool:
        request = self._put(job, due_at_s)
        request["ConditionExpression"] = "revision = :last AND #status IN (:pending, :running, :status)"
        request["ExpressionAttributeNames"] = {"#status": "status"}
        request["ExpressionAttributeValues"] = {
            ":last": {"N": str(job.revision - 1)},
            ":pending": {"S": "pending"},
            ":running": {"S": "running"},
            ":status": {"S": job.status},
        }
        with _translated():
            try:
                await self._dynamodb.call("PutItem", request, TIMEOUT_S)
            except AwsFailure as failure:
                if failure.code != _REFUSED:
                    raise
                return await self._find(job.tenant_id, job.id) == job
        return True

    async def page(
        self, tenant_id: str, limit: int, after: str | None, status: Status | None, until: str = LAST
    ) -> JobPage:
        first = f"{after or ''}!"
        if first > until:
            return JobPage([], has_more=False)  # DynamoDB refuses a range that is none
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :after AND :end",
            "ExpressionAttributeValues": {
                ":pk": {"S": f"T#{tenant_id}"},
                ":after": {"S": first},
                ":end": {"S": until},
            },
            "ConsistentRead": True,
            "Limit": limit + 1 if status is None else FILTERED_AT_ONCE,
        }
        if status is not None:
            request["FilterExpression"] = "#status = :status"
            request["ExpressionAttributeNames"] = {"#status": "status"}
            request["ExpressionAttributeValues"][":status"] = {"S": status}
        jobs: list[Job] = []
        with _translated():
            async for item in self._items("Query", request):
                jobs.append(_job(item))
                if len(jobs) > limit:
                    return JobPage(jobs[:limit], has_more=True)
        return JobPage(jobs, has_more=False)

    async def due(self, now_s: float) -> AsyncIterator[Job]:
        """One that is damaged hides no other; the operator has to mend it."""
        with _translated():
            first = randbelow(DUE_SHARDS)  # whoever sees to so many only comes to all of them in turn
            for shard in (*range(first, DUE_SHARDS), *range(first)):
                request = {
                    "TableName": self._table,
                    "IndexName": "due",
                    "KeyConditionExpression": "due_shard = :shard AND due_at_s <= :now",
                    "ExpressionAttributeValues": {":shard": {"S": str(shard)}, ":now": {"N": str(int(now_s))}},
                }
                async for item in self._items("Query", request):
                    try:
                        job = _job(item)
                    except msgspec.DecodeError:
                        log_trouble("job.not_swept", job_id=item["sk"]["S"], reason="Its record is damaged.")
                    else:
                        yield job

    async def _find(self, tenant_id: str, job_id: str) -> Job | None:
        key = {"pk": {"S": f"T#{tenant_id}"}, "sk": {"S": job_id}}
        request = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        answer = await self._dynamodb.call("GetItem", request, TIMEOUT_S)
        return _job(answer["Item"]) if "Item" in answer else None

    async def _items(self, operation: str, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        while True:
            answer = await self._dynamodb.call(operation, request, TIMEOUT_S)
            for item in answer["Items"]:
                yield item
            if (last := answer.get("LastEvaluatedKey")) is None:
                return
            request = {**request, "ExclusiveStartKey": last}

    def _put(self, job: Job, due_at_s: int | None) -> dict[str, Any]:
        item = {
            "pk": {"S": f"T#{job.tenant_id}"},
            "sk": {"S": job.id},
            "document": {"S": msgspec.json.encode(job).decode()},
            "revision": {"N": str(job.revision)},
            "status": {"S": job.status},
            "ends_at_s": {"N": str(job.expires_at_s + TOMBSTONE_S)},
        }
        if due_at_s is not None:
            item |= {"due_shard": {"S": str(crc32(job.id.encode()) % DUE_SHARDS)}, "due_at_s": {"N": str(due_at_s)}}
        return {"TableName": self._table, "Item": item}


def _claim_key(tenant_id: str, key_hash: str) -> dict[str, Any]:
    return {"pk": {"S": f"T#{tenant_id}"}, "sk": {"S": f"{_CLAIM}{key_hash}"}}


def _job(item: dict[str, Any]) -> Job:
    return _decode(item["document"]["S"])


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(f"Jobs cannot be read or stored at the moment ({failure.code}).") from failure
