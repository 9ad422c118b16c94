"""The functions behind the queue and the schedule: what they read, and what they answer."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.adapters.aws.events import detail_type, told_of
from gateway.entry.records import RecordsFunction
from gateway.entry.runtime.client import Invocation
from gateway.entry.sweep import SweepFunction
from gateway.model.record import AuditEvent, Told, Watermark
from gateway.record_ports import RecordsWorld, SweepWorld
from tests.dying import Fate, Killed
from tests.fakes import ListRecords, ManualClock
from tests.record_fakes import NOW_S, MemoryArchive, MemoryAuditLog, MemoryUsage, alert, record
from tests.sweeping import Stage

INVOCATION = Invocation("1", deadline_s=NOW_S + 300_000)
TOLD: list[Told] = [
    record(units={"images": 2}, latency_ms=1.5),
    AuditEvent(id="req_1.ended", event="request.completed", at_s=NOW_S, facts={"status": 200}),
    AuditEvent(id="adm_1", event="admin.key.created", at_s=NOW_S, actor="admin"),
    alert(),
    Watermark(id="w", at_s=NOW_S),
]


def message(number: int, body: Any) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": f"m{number}", "body": text, "attributes": {"SentTimestamp": str(int(NOW_S * 1000) - 2_500)}}


def delivered(told: Told) -> dict[str, Any]:
    return {
        "version": "0",
        "source": "llm-gateway",
        "detail-type": detail_type(told),
        "detail": msgspec.to_builtins(told),
    }


@pytest.fixture
def world() -> RecordsWorld:
    clock = ManualClock(NOW_S)
    return RecordsWorld(MemoryUsage(clock), MemoryArchive(), MemoryAuditLog(), ListRecords(), clock)


@pytest.mark.parametrize("told", TOLD, ids=lambda told: type(told).__name__)
def test_what_is_told_is_read_as_it_was(told: Told) -> None:
    decoded = json.loads(msgspec.json.encode(delivered(told)))
    assert told_of(decoded["detail-type"], decoded["detail"]) == told


async def test_a_batch_is_kept_and_reported(world: RecordsWorld, written: Any) -> None:
    event = {"Records": [message(number, delivered(told)) for number, told in enumerate(TOLD)]}
    assert await RecordsFunction(world).handle(event, INVOCATION) == {"batchItemFailures": []}
    assert isinstance(world.archive, MemoryArchive)
    assert world.archive.ids("alerts") == [alert().id]
    assert await world.usage.watermark_s() == NOW_S
    [line], [figures] = written()
    assert (line["event"], line["lambda_request_id"]) == ("records.kept", "1")
    numbers = {
        name.removeprefix("gateway.records."): line[name] for name in line if name.startswith("gateway.records.")
    }
    assert numbers == {"messages": 5, "counted": 1, "known": 0, "late": 0, "logged": 2, "again": 0, "age_s": 2.5}
    assert figures["gateway.records.age_s"] == [2.5]
    [directive] = figures["_aws"]["CloudWatchMetrics"]
    assert {"Name": "gateway.records.age_s", "Unit": "Seconds"} in directive["Metrics"]


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        {"detail": {}},
        {"detail-type": "usage.recorded", "detail": {"attempt": 1}},
        {"detail-type": "usage.recorded", "detail": "text"},
        {"detail-type": "something.else", "detail": {"colour": "red"}},
    ],
    ids=str,
)
async def test_what_nobody_can_read_comes_again_and_stops_nothing(world: RecordsWorld, body: Any) -> None:
    event = {"Records": [message(0, body), message(1, delivered(TOLD[0]))]}
    answer = await RecordsFunction(world).handle(event, INVOCATION)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert isinstance(world.records, ListRecords)
    assert [trouble["event"] for trouble in world.records.troubles] == ["records.unreadable"]
    assert [one.id for one in await world.usage.records("acme", "req_1")] == ["req_1.1"]


async def test_what_is_not_kept_comes_again(world: RecordsWorld) -> None:
    assert isinstance(world.archive, MemoryArchive)
    world.archive.is_down = True
    event = {"Records": [message(number, delivered(told)) for number, told in enumerate(TOLD)]}
    answer = await RecordsFunction(world).handle(event, INVOCATION)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m0", "m1", "m2", "m3"]


async def test_a_sweep_says_what_it_ended(written: Any) -> None:
    stage = Stage()
    with pytest.raises(Killed):
        await stage.chat(Fate(4))
    stage.clock.unix_s += 2_000
    await stage.store.pass_watermark(stage.clock.unix_s)
    world = SweepWorld(stage.ledger, stage.store, stage.holders, stage.events, stage.outbox, stage.records, stage.clock)
    swept = await SweepFunction(world, grace_s=600).handle({}, INVOCATION)
    assert swept == {"settled": 0, "released": 0, "lost": 1, "failed": 0, "lag_s": 0.0}
    [line], [figures] = written()
    assert (line["event"], line["gateway.sweep.lost"], line["gateway.records.lag_s"]) == ("sweep.done", 1, 0.0)
    assert figures["gateway.records.lag_s"] == [0.0]
    assert [trouble["event"] for trouble in stage.records.troubles] == ["sweep.lost"]
