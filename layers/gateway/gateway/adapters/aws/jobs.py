"""Job records in DynamoDB, one item each; every change is on condition that it is the last one's successor.

Item pk T#<tenant>, sk <job id>: `document` (JSON text), `revision`, `status`, and `ends_at_s`, when DynamoDB may remove
it. A job on which there is still work is in the index `due` besides, by `due_shard` and `due_at_s`: when somebody
should look. The index `by_status` has each tenant's jobs of one status that it was told of, by `status_key`
T#<tenant>#<status> and sk.
Both indexes have keys, the first the status too, for what is copied into them is paid for again with every change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from secrets import randbelow
from typing import Any
from zlib import crc32

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.job_ports import LAST, DueJob, JobPage
from gateway.model.errors import JobNotFound, StorageUnavailable
from gateway.model.job import Job, Status

TIMEOUT_S = 2.0
DUE_SHARDS = 8
_REFUSED = "ConditionalCheckFailedException"
_decode = msgspec.json.Decoder(Job).decode


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
        between = {":after": {"S": first}, ":end": {"S": until}}
        with _translated():
            if status is not None:
                return await self._page_of(status, tenant_id, limit, between)
            request = self._query(
                "pk = :key AND sk BETWEEN :after AND :end", {":key": {"S": f"T#{tenant_id}"}, **between}
            )
            items = await self._first(limit + 1, {**request, "ConsistentRead": True})
        return JobPage([_job(item) for item in items[:limit]], has_more=len(items) > limit)

    async def _page_of(self, status: Status, tenant_id: str, limit: int, between: dict[str, Any]) -> JobPage:
        """The index may be a moment behind: what has another status by now is none of them."""
        key = {":key": {"S": _status_key(tenant_id, status)}, **between}
        request = self._query("status_key = :key AND sk BETWEEN :after AND :end", key, index="by_status")
        while True:
            ids = [item["sk"]["S"] for item in await self._first(limit + 1, request)]
            found = await asyncio.gather(*(self._find(tenant_id, job_id) for job_id in ids[:limit]))
            jobs = [job for job in found if job is not None and job.status == status]
            if jobs or len(ids) <= limit:
                return JobPage(jobs, has_more=len(ids) > limit)
            request["ExpressionAttributeValues"][":after"] = {"S": f"{ids[limit - 1]}!"}

    async def _first(self, count: int, request: dict[str, Any]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        async for item in self._items("Query", {**request, "Limit": count}):
            items.append(item)
            if len(items) == count:
                break
        return items

    def _query(self, condition: str, values: dict[str, Any], index: str | None = None) -> dict[str, Any]:
        request = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        return request if index is None else {**request, "IndexName": index}

    async def due(self, now_s: float) -> AsyncIterator[DueJob]:
        with _translated():
            first = randbelow(DUE_SHARDS)  # of what is due at the same time no shard's is always the last
            shards = [self._due_in(shard, now_s) for shard in (*range(first, DUE_SHARDS), *range(first))]
            heads = [(turn, await anext(items, None)) for turn, items in enumerate(shards)]
            waiting = [(_due_at_s(item), turn, item) for turn, item in heads if item is not None]
            heapify(waiting)
            while waiting:
                _, turn, item = heappop(waiting)
                yield DueJob(item["pk"]["S"].removeprefix("T#"), item["sk"]["S"], item["status"]["S"])
                if (following := await anext(shards[turn], None)) is not None:
                    heappush(waiting, (_due_at_s(following), turn, following))

    def _due_in(self, shard: int, now_s: float) -> AsyncIterator[dict[str, Any]]:
        """In the order of when they are due."""
        values = {":shard": {"S": str(shard)}, ":now": {"N": str(int(now_s))}}
        return self._items("Query", self._query("due_shard = :shard AND due_at_s <= :now", values, index="due"))

    async def tenant_of_waiting(self, job_id: str) -> str | None:
        values = {":shard": {"S": _due_shard(job_id)}, ":id": {"S": job_id}}
        request = {**self._query("due_shard = :shard", values, index="due"), "FilterExpression": "sk = :id"}
        with _translated():
            async for item in self._items("Query", request):
                return str(item["pk"]["S"]).removeprefix("T#")
        return None

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
            "ends_at_s": {"N": str(job.removable_at_s)},
        }
        if not job.is_hidden:
            item["status_key"] = {"S": _status_key(job.tenant_id, job.status)}
        if due_at_s is not None:
            item |= {"due_shard": {"S": _due_shard(job.id)}, "due_at_s": {"N": str(due_at_s)}}
        return {"TableName": self._table, "Item": item}


def _due_at_s(item: dict[str, Any]) -> int:
    return int(item["due_at_s"]["N"])


def _due_shard(job_id: str) -> str:
    return str(crc32(job_id.encode()) % DUE_SHARDS)


def _status_key(tenant_id: str, status: Status) -> str:
    return f"T#{tenant_id}#{status}"


def _job(item: dict[str, Any]) -> Job:
    return _decode(item["document"]["S"])


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(f"Jobs cannot be read or stored at the moment ({failure.code}).") from failure
