"""The records function: keeps what the queue behind the event bus brings.

Event:  {"Records": [{"messageId", "body", "attributes": {"SentTimestamp"}}, …]}, a body as the bus delivers it:
        {"detail-type": "usage.recorded", "detail": {…}}
Result: {"batchItemFailures": [{"itemIdentifier": message id}, …]}: what has to come again

What nobody can read fails until the queue puts it aside, where a person finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.adapters.aws.events import told_of
from gateway.adapters.telemetry import name_the_lines
from gateway.entry.powertools import report
from gateway.entry.record_wiring import records_world
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.handler import EventHandler
from gateway.model.telemetry import KeptLine
from gateway.pipeline.keep import Kept, Letter, keep
from gateway.record_ports import RecordsWorld


class Envelope(msgspec.Struct, frozen=True):
    kind: str = msgspec.field(name="detail-type")
    detail: dict[str, Any]


_decode = msgspec.json.Decoder(Envelope).decode


class RecordsFunction(msgspec.Struct, frozen=True):
    world: RecordsWorld

    async def handle(self, event: Any, invocation: Invocation) -> dict[str, Any]:
        name_the_lines({"lambda_request_id": invocation.request_id})
        letters: list[Letter] = []
        unread: set[str] = set()
        for message in event["Records"]:
            try:
                letters.append(read(message))
            except msgspec.MsgspecError as error:  # says which member
                unread.add(message["messageId"])
                self.world.records.trouble("records.unreadable", message_id=message["messageId"], reason=str(error))
        kept = await keep(letters, self.world)
        again = kept.again | unread
        self._report(event["Records"], kept, len(again), invocation)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in sorted(again)]}

    def _report(self, messages: list[Mapping[str, Any]], kept: Kept, again: int, invocation: Invocation) -> None:
        oldest_s = min(int(message["attributes"]["SentTimestamp"]) / 1000 for message in messages)
        report(
            KeptLine(
                lambda_request_id=invocation.request_id,
                messages=len(messages),
                counted=kept.counted,
                known=kept.known,
                late=kept.late,
                logged=kept.logged,
                again=again,
                age_s=round(max(0.0, self.world.clock.now_s() - oldest_s), 3),
            )
        )


def read(message: Mapping[str, Any]) -> Letter:
    """Raises msgspec.MsgspecError."""
    envelope = _decode(message["body"])
    return Letter(message["messageId"], told_of(envelope.kind, envelope.detail))


def records_handler() -> EventHandler:
    """What Lambda calls."""
    return EventHandler(RecordsFunction(records_world()).handle)
