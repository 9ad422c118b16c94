"""What is told of requests, on the event bus; what the bus does not take goes straight to the queue behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.telemetry import log_trouble
from gateway.model.record import AuditEvent, BudgetAlert, Told, UsageRecord, Watermark

SOURCE = "llm-gateway"
# Of one call each: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html,
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
AT_ONCE = 10
TIMEOUT_S = 2.0

Entry = dict[str, Any]


class BusEvents:
    """`bus`: its name. `queue_url`: of the queue that the bus's own rule fills, so whoever reads it misses nothing."""

    def __init__(self, bus_api: AwsApi, bus: str, queue_api: AwsApi, queue_url: str) -> None:
        self._bus_api, self._bus = bus_api, bus
        self._queue_api, self._queue_url = queue_api, queue_url

    async def send(self, told: Sequence[Told]) -> None:
        for first in range(0, len(told), AT_ONCE):
            entries = [self._entry(one) for one in told[first : first + AT_ONCE]]
            if left := await self._to_bus(entries):
                await self._to_queue(left)

    def _entry(self, told: Told) -> Entry:
        return {
            "Source": SOURCE,
            "DetailType": detail_type(told),
            "Time": int(told.at_s),
            "Detail": msgspec.json.encode(told).decode(),
            "EventBusName": self._bus,
        }

    async def _to_bus(self, entries: list[Entry]) -> list[Entry]:
        """Those that it did not take."""
        try:
            answer = await self._bus_api.call("PutEvents", {"Entries": entries}, TIMEOUT_S)
        except AwsFailure as failure:
            log_trouble("events.bus_failed", code=failure.code, events=len(entries))
            return entries
        if not answer.get("FailedEntryCount"):
            return []
        refused = [entry for entry, outcome in zip(entries, answer["Entries"], strict=True) if "ErrorCode" in outcome]
        log_trouble("events.bus_refused", events=len(refused))
        return refused

    async def _to_queue(self, entries: list[Entry]) -> None:
        messages = [
            {"Id": str(number), "MessageBody": msgspec.json.encode(_as_delivered(entry)).decode()}
            for number, entry in enumerate(entries)
        ]
        try:
            request = {"QueueUrl": self._queue_url, "Entries": messages}
            answer = await self._queue_api.call("SendMessageBatch", request, TIMEOUT_S)
            failed = {outcome["Id"] for outcome in answer.get("Failed", ())}
        except AwsFailure:
            failed = {message["Id"] for message in messages}
        for line in _lost(entries, failed):
            log_trouble("events.undelivered", **line)


_KINDS: dict[str, type[Any]] = {
    "usage.recorded": UsageRecord,
    "budget.alert": BudgetAlert,
    "records.watermark": Watermark,
}
"""By detail type; every other one is an audit event, whose own name it is."""


def detail_type(told: Told) -> str:
    if isinstance(told, AuditEvent):
        return told.event
    return next(name for name, kind in _KINDS.items() if isinstance(told, kind))


def told_of(kind: str, detail: Any) -> Told:
    """The way back. `detail`: as decoded from JSON. Raises msgspec.ValidationError."""
    told: Told = msgspec.convert(detail, _KINDS.get(kind, AuditEvent))
    return told


def _as_delivered(entry: Entry) -> dict[str, Any]:
    """As the bus would hand it to a queue."""
    time = datetime.fromtimestamp(entry["Time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail = msgspec.json.decode(entry["Detail"])
    return {"source": entry["Source"], "detail-type": entry["DetailType"], "time": time, "detail": detail}


def _lost(entries: list[Entry], failed: set[str]) -> Iterator[dict[str, Any]]:
    """Whole, so that they can be told again from the log: they hold no content."""
    for number, entry in enumerate(entries):
        if str(number) in failed:
            yield {"detail_type": entry["DetailType"], "detail": msgspec.json.decode(entry["Detail"])}
