"""The audit log: one JSON line for each event, in a log group of its own. Item A#<event id> / A in DynamoDB says that
the line is there.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.usage_writes import EXPIRY, address_of
from gateway.model.errors import StorageUnavailable
from gateway.model.record import AuditEvent
from gateway.ports import Clock

TIMEOUT_S = 5.0
# What one call takes: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html,
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html, API_BatchWriteItem.html
MAX_BATCH_BYTES, BYTES_PER_EVENT, MAX_EVENTS = 1_048_576, 26, 10_000
READ_AT_ONCE, WRITTEN_AT_ONCE = 100, 25
TRIES, FIRST_PAUSE_S = 6, 0.05
OLDEST_S = 23 * 3600
"""An older event is filed under a later time, because a batch may span 24 hours. The line itself has the right one."""

T = TypeVar("T")
Item = dict[str, Any]
Entry = tuple[AuditEvent, str]


class CloudWatchAuditLog:
    """`life_s`: how long it is known of an event that it was written."""

    def __init__(self, logs: AwsApi, group: str, dynamodb: AwsApi, table: str, *, life_s: float, clock: Clock) -> None:
        self._logs, self._group = logs, group
        self._dynamodb, self._table = dynamodb, table
        self._life_s, self._clock = life_s, clock
        self._stream: str | None = None

    async def unwritten(self, ids: Collection[str]) -> set[str]:
        markers: set[str] = set()
        keys = [_marker(event_id) for event_id in ids]
        with _translated():
            for some in _batches(keys, READ_AT_ONCE):
                wanted = {"Keys": some, "ConsistentRead": True, "ProjectionExpression": "pk"}
                async for answer in self._until_done("BatchGetItem", wanted, "UnprocessedKeys"):
                    markers.update(item["pk"]["S"] for item in answer["Responses"].get(self._table, ()))
        return {event_id for event_id in ids if _marker(event_id)["pk"]["S"] not in markers}

    async def write(self, events: Sequence[AuditEvent]) -> None:
        with _translated():
            for batch in _log_batches(events):
                await self._append(batch)
                await self._mark(batch)

    async def _mark(self, batch: list[Entry]) -> None:
        expiry = {EXPIRY: {"N": str(int(self._clock.now_s() + self._life_s))}}
        puts = [{"PutRequest": {"Item": {**_marker(event.id), **expiry}}} for event, _ in batch]
        for some in _batches(puts, WRITTEN_AT_ONCE):
            async for _ in self._until_done("BatchWriteItem", some, "UnprocessedItems"):
                pass

    async def _append(self, batch: list[Entry]) -> None:
        now_s = self._clock.now_s()
        lines = [
            {"timestamp": int(min(max(event.at_s, now_s - OLDEST_S), now_s) * 1000), "message": line}
            for event, line in batch
        ]
        stream = self._stream or f"records/{uuid.uuid4().hex}"  # one for each environment
        named = {"logGroupName": self._group, "logStreamName": stream}
        if self._stream is None:
            await self._logs.call("CreateLogStream", named, TIMEOUT_S)
        self._stream = None  # another one, should this fail
        answer = await self._logs.call("PutLogEvents", {**named, "logEvents": lines}, TIMEOUT_S)
        if answer.get("rejectedLogEventsInfo"):
            raise AwsFailure("RejectedLogEvents", is_fault=False)
        self._stream = stream

    async def _until_done(self, operation: str, wanted: Any, left: str) -> AsyncIterator[Item]:
        """A batch may be answered in part, and the rest is asked for again. Raises AwsFailure."""
        request, pause_s = {self._table: wanted}, FIRST_PAUSE_S
        for _ in range(TRIES):
            answer = await self._dynamodb.call(operation, {"RequestItems": request}, TIMEOUT_S)
            yield answer
            if not (request := answer.get(left) or {}):
                return
            await self._clock.sleep(pause_s)
            pause_s *= 2
        raise AwsFailure(left, is_fault=True)


def _marker(event_id: str) -> Item:
    return address_of(f"A#{event_id}", "A")


def _log_batches(events: Sequence[AuditEvent]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for event in events:
        line = msgspec.json.encode(event)
        size += len(line) + BYTES_PER_EVENT
        if batch and (size > MAX_BATCH_BYTES or len(batch) == MAX_EVENTS):
            yield batch
            batch, size = [], len(line) + BYTES_PER_EVENT
        batch.append((event, line.decode()))
    if batch:
        yield batch


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[first : first + size] for first in range(0, len(items), size))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(f"The audit log cannot be written at the moment ({failure.code}).") from failure
