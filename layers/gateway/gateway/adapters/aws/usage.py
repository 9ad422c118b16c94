"""Usage in DynamoDB: every record once, and the sums of each day, changed by the same transaction.

Item R#<tenant>#<hold name> / <request id>   a request's records as JSON text, a0 for attempt 0 and so on;
                                             `closed`: no record is added any more
Item D#<tenant> / <day> [user, key, operation, provider, model]    the counts of a row
Item T / <tenant>                            a tenant that has rows
Item W / W                                   the watermark

That a record is there is what tells that it was counted, so the two are one step, in which the ledger also gets what
it has yet to know; and a request is one item, so that it
can be closed in one. After `life_s` a request is forgotten; a record older than that is not counted, for nobody can
tell whether it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.usage_writes import (
    CLOSED,
    Tables,
    Write,
    address_of,
    attempts_in,
    pack,
    request_key,
    row_key,
)
from gateway.model.errors import StorageUnavailable
from gateway.model.record import UsageRecord
from gateway.model.rollup import Counts, Group
from gateway.ports import Clock
from gateway.record_ports import Added

TIMEOUT_S = 5.0
TRIES = 8
FIRST_PAUSE_S = 0.05
_REFUSED = "ConditionalCheckFailedException"
_CANCELLED = "TransactionCanceledException"
# Nothing was written, and the same transaction may pass the next time:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html#API_TransactWriteItems_Errors
_MOMENTARY = {
    *("None", "TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"),
    *("TransactionConflictException", "TransactionInProgressException"),
}


class DynamoUsage:
    def __init__(self, dynamodb: AwsApi, tables: Tables, life_s: float, clock: Clock) -> None:
        self._dynamodb, self._tables, self._life_s, self._clock = dynamodb, tables, life_s, clock
        self._table = tables.usage
        self._known_tenants: set[str] = set()

    async def add(self, records: Sequence[UsageRecord]) -> Added:
        added = Added()
        fresh: dict[str, UsageRecord] = {}
        for record in records:
            if record.at_s + self._life_s <= self._clock.now_s():
                added.late.append(record)
            elif record.id in fresh:
                added.known.append(record)
            else:
                fresh[record.id] = record
        waiting = [*pack(fresh.values(), self._tables, self._life_s)]
        while waiting:
            write = waiting.pop()
            try:
                await self._remember_tenants(write)
                await self._write(write, added)
            except AwsFailure as failure:
                apart = write.apart()
                if _is_momentary(failure) or len(apart) == 1:
                    added.failed.extend(write.records)
                else:
                    waiting += apart  # what one of them has wrong does not keep the others out
        return added

    async def claim(self, lost: UsageRecord) -> list[UsageRecord]:
        [write] = pack([lost], self._tables, self._life_s, closes=True)
        added = Added()
        try:
            await self._remember_tenants(write)
            await self._write(write, added)
        except AwsFailure as failure:
            raise _unavailable(failure) from failure
        if added.counted:
            return added.counted
        return await self.close(lost.of.tenant_id, lost.of.request_id)

    async def close(self, tenant_id: str, request_id: str) -> list[UsageRecord]:
        update = {
            "TableName": self._table,
            "Key": request_key(tenant_id, request_id),
            "UpdateExpression": "SET #closed = :true",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {"#closed": CLOSED},
            "ExpressionAttributeValues": {":true": {"BOOL": True}},
            "ReturnValues": "ALL_NEW",
        }
        answer = await self._patiently("UpdateItem", update)
        return attempts_in(answer["Attributes"])

    async def requests(self, tenant_id: str, hold_name: str) -> list[str]:
        query = self._query(f"R#{tenant_id}#{hold_name}", ConsistentRead=True, ProjectionExpression="sk")
        return [item["sk"]["S"] async for item in self._items(query)]

    async def records(self, tenant_id: str, request_id: str) -> list[UsageRecord]:
        request = {"TableName": self._table, "Key": request_key(tenant_id, request_id), "ConsistentRead": True}
        item = (await self._patiently("GetItem", request)).get("Item")
        if item is None or int(item["expires_at_s"]["N"]) <= self._clock.now_s():
            return []
        return attempts_in(item)

    async def sums(self, tenant_id: str, first_day: str, last_day: str) -> AsyncIterator[tuple[Group, Counts]]:
        # A blank comes after the day in a sort key, and "!" comes after a blank.
        between = {":first": {"S": first_day}, ":last": {"S": f"{last_day}!"}}
        async for item in self._items(self._query(f"D#{tenant_id}", between)):
            yield row_key(item["sk"]["S"]), {name: int(value["N"]) for name, value in item.items() if "N" in value}

    async def tenants(self) -> list[str]:
        return [item["sk"]["S"] async for item in self._items(self._query("T"))]

    async def pass_watermark(self, at_s: float) -> None:
        update = {
            "TableName": self._table,
            "Key": address_of("W", "W"),
            "UpdateExpression": "SET at_s = :at",
            "ConditionExpression": "attribute_not_exists(at_s) OR at_s < :at",
            "ExpressionAttributeValues": {":at": {"N": repr(at_s)}},
        }
        try:
            await self._dynamodb.call("UpdateItem", update, TIMEOUT_S)
        except AwsFailure as failure:
            if failure.code != _REFUSED:  # a later one has passed
                raise _unavailable(failure) from failure

    async def watermark_s(self) -> float:
        request = {"TableName": self._table, "Key": address_of("W", "W"), "ConsistentRead": True}
        item = (await self._patiently("GetItem", request)).get("Item")
        return 0.0 if item is None else float(item["at_s"]["N"])

    async def _remember_tenants(self, write: Write) -> None:
        """Before their first row, so that no row is without. Raises AwsFailure."""
        for tenant_id in {record.of.tenant_id for record in write.records} - self._known_tenants:
            item = {"TableName": self._table, "Item": address_of("T", tenant_id)}
            await self._dynamodb.call("PutItem", item, TIMEOUT_S)
            self._known_tenants.add(tenant_id)

    async def _write(self, write: Write, added: Added) -> None:
        """Until all of it is written, known or late. Raises AwsFailure."""
        pause_s, tries = FIRST_PAUSE_S, TRIES
        while write.records:
            try:
                await self._dynamodb.call("TransactWriteItems", write.request(), TIMEOUT_S)
            except AwsFailure as failure:
                if failure.code == _CANCELLED and write.drop_what_is_there(failure.items, added):
                    continue
                tries -= 1
                if not (_is_momentary(failure) and tries):
                    raise
                await self._clock.sleep(pause_s)
                pause_s *= 2
            else:
                added.counted.extend(write.records)
                return

    async def _patiently(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """While a transaction holds the item, others are turned away."""
        pause_s = FIRST_PAUSE_S
        for remaining in reversed(range(TRIES)):
            try:
                return await self._dynamodb.call(operation, request, TIMEOUT_S)
            except AwsFailure as failure:
                if failure.code not in _MOMENTARY or not remaining:
                    raise _unavailable(failure) from failure
            await self._clock.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("the last try either returned or raised")

    def _query(self, pk: str, between: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        condition = "pk = :pk AND sk BETWEEN :first AND :last" if between else "pk = :pk"
        return {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": {":pk": {"S": pk}, **(between or {})},
            **more,
        }

    async def _items(self, query: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        while True:
            answer = await self._patiently("Query", query)
            for item in answer["Items"]:
                yield item
            if (last := answer.get("LastEvaluatedKey")) is None:
                return
            query = {**query, "ExclusiveStartKey": last}


def _is_momentary(failure: AwsFailure) -> bool:
    return failure.is_fault or (set(failure.reasons) or {failure.code}) <= _MOMENTARY


def _unavailable(failure: AwsFailure) -> StorageUnavailable:
    return StorageUnavailable(f"Usage cannot be read or written at the moment ({failure.code}).")
