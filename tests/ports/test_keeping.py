"""Archive, audit log and usage together: whatever comes is kept, nothing is counted or logged twice."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.archive import S3Archive
from gateway.adapters.aws.audit_log import CloudWatchAuditLog
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.aws.usage import DynamoUsage
from gateway.adapters.aws.usage_writes import Tables
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.model.errors import StorageUnavailable
from gateway.model.record import AuditEvent, Told, Watermark
from gateway.model.rollup import Counts, Group, summed
from gateway.pipeline.keep import Letter, keep
from gateway.record_ports import RecordsWorld
from tests.fakes import ListRecords, ManualClock
from tests.ports.conftest import REGION, aws_api
from tests.record_fakes import LIFE_S, MemoryArchive, MemoryAuditLog, MemoryUsage, alert, record

BUCKET, GROUP = "archive", "audit"
NOW_S = float(int(time.time()))  # the log takes no line that is weeks old
Call = tuple[AwsApi, str]


def audit(event_id: str, at_s: float = NOW_S, **facts: Any) -> AuditEvent:
    return AuditEvent(id=event_id, event="request.completed", at_s=at_s, tenant_id="acme", facts=facts)


def letters(*told: Told) -> list[Letter]:
    return [Letter(f"m{number}", one) for number, one in enumerate(told)]


class Fixture:
    """A world of records, and what is in it."""

    def __init__(self, world: RecordsWorld, apis: dict[str, AwsApi] | None = None) -> None:
        self.world, self.apis = world, apis or {}

    async def rows(self) -> dict[Group, Counts]:
        return {group: counts async for group, counts in self.world.usage.sums("acme", "2000-01-01", "2100-01-01")}

    def archived(self) -> dict[str, list[str]]:
        """Ids by folder."""
        archive = self.world.archive
        assert isinstance(archive, MemoryArchive)
        return {folder: archive.ids(folder) for folder in ("usage", "audit", "alerts")}

    def logged(self) -> list[str]:
        log = self.world.audit_log
        assert isinstance(log, MemoryAuditLog)
        return [event.id for event in log.lines]


class RealFixture(Fixture):
    def archived(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {"usage": [], "audit": [], "alerts": []}
        for key, lines in objects(self._client("s3")).items():
            found[key.partition("/")[0]] += [line["id"] for line in lines]
        return found

    def logged(self) -> list[str]:
        logs = self._client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP)
        return [json.loads(event["message"])["id"] for page in pages for event in page["events"]]

    def _client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.apis["logs"]._service.url, region_name=REGION)


def objects(s3: Any) -> dict[str, list[dict[str, Any]]]:
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    bodies = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
    return {key: [json.loads(line) for line in gzip.decompress(body).splitlines()] for key, body in bodies.items()}


@pytest.fixture
def clients(aws_url: str, aws_keys: None) -> Iterator[dict[str, Any]]:
    s3, logs = (boto3.client(service, endpoint_url=aws_url, region_name=REGION) for service in ("s3", "logs"))
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    logs.create_log_group(logGroupName=GROUP)
    yield {"s3": s3, "logs": logs}
    logs.delete_log_group(logGroupName=GROUP)
    for key in objects(s3):
        s3.delete_object(Bucket=BUCKET, Key=key)
    s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def real(
    clients: dict[str, Any], usage_table: str, aws_url: str, dynamodb_api: AwsApi, http_client: HttpClient
) -> Fixture:
    clock, logs = ManualClock(NOW_S), aws_api(http_client, aws_url, "logs", "Logs_20140328", "1.1")
    keys = RoleKeys(http_client, SystemClock())
    bucket = Bucket(Place(BUCKET, REGION, f"{aws_url}/{BUCKET}"), keys=keys, client=http_client, clock=SystemClock())
    world = RecordsWorld(
        usage=DynamoUsage(dynamodb_api, Tables(usage_table, "ledger"), LIFE_S, clock),
        archive=S3Archive(bucket, clock),
        audit_log=CloudWatchAuditLog(logs, GROUP, dynamodb_api, usage_table, life_s=LIFE_S, clock=clock),
        records=ListRecords(),
        clock=clock,
    )
    return RealFixture(world, {"logs": logs, "dynamodb": dynamodb_api})


@pytest.fixture(params=["memory", "aws"])
def kept(request: pytest.FixtureRequest) -> Fixture:
    if request.param == "aws":
        found: Fixture = request.getfixturevalue("real")
        return found
    clock = ManualClock(NOW_S)
    world = RecordsWorld(MemoryUsage(clock), MemoryArchive(), MemoryAuditLog(), ListRecords(), clock)
    return Fixture(world)


async def test_everything_has_its_place(kept: Fixture) -> None:
    told: list[Told] = [record(at_s=NOW_S), audit("req_1.started"), audit("req_1.ended"), alert()]
    outcome = await keep(letters(*told), kept.world)
    assert (outcome.again, outcome.counted, outcome.logged) == (set(), 1, 2)
    assert kept.archived() == {
        "usage": ["req_1.1"],
        "audit": ["req_1.started", "req_1.ended"],
        "alerts": ["budget.acme..2026-09.80"],
    }
    assert sorted(kept.logged()) == ["req_1.ended", "req_1.started"]
    assert await kept.rows() == summed([record(at_s=NOW_S)])


async def test_what_comes_again_is_archived_again_and_nothing_else(kept: Fixture) -> None:
    told: list[Told] = [record(at_s=NOW_S), audit("req_1.ended", status=200)]
    await keep(letters(*told), kept.world)
    outcome = await keep(letters(*told, *told, audit("req_1.ended", status=500)), kept.world)
    assert (outcome.again, outcome.counted, outcome.known, outcome.logged) == (set(), 0, 2, 0)
    assert await kept.rows() == summed([record(at_s=NOW_S)])
    assert kept.logged() == ["req_1.ended"]


async def test_the_watermark_passes_when_everything_with_it_is_kept(kept: Fixture) -> None:
    await keep(letters(Watermark(id="watermark.1", at_s=NOW_S), record(at_s=NOW_S)), kept.world)
    assert await kept.world.usage.watermark_s() == NOW_S
    assert kept.archived()["usage"] == ["req_1.1"]


async def test_an_archive_that_is_down_stops_the_counting_too() -> None:
    archive, log, clock = MemoryArchive(is_down=True), MemoryAuditLog(), ManualClock(NOW_S)
    world = RecordsWorld(MemoryUsage(clock), archive, log, ListRecords(), clock)
    told = letters(record(), audit("req_1.ended"), Watermark(id="w", at_s=NOW_S))
    assert (await keep(told, world)).again == {"m0", "m1"}
    assert (await Fixture(world).rows(), log.lines, await world.usage.watermark_s()) == ({}, [], 0)
    archive.is_down = False
    assert (await keep(told, world)).again == set()
    assert archive.ids("usage") == ["req_1.1"]


async def test_an_audit_log_that_is_down_does_not_stop_the_counting() -> None:
    log, clock = MemoryAuditLog(is_down=True), ManualClock(NOW_S)
    world = RecordsWorld(MemoryUsage(clock), MemoryArchive(), log, records := ListRecords(), clock)
    told = letters(record(at_s=NOW_S), audit("req_1.ended"), audit("req_1.ended"))
    outcome = await keep(told, world)
    assert (outcome.again, outcome.counted) == ({"m1", "m2"}, 1)
    assert [trouble["event"] for trouble in records.troubles] == ["records.not_logged"]


async def test_a_record_of_a_closed_request_is_told_of(kept: Fixture) -> None:
    await kept.world.usage.claim(record("req_1", 0, at_s=NOW_S, outcome="lost"))
    outcome = await keep(letters(record("req_1", at_s=NOW_S)), kept.world)
    assert (outcome.again, outcome.late, outcome.counted) == (set(), 1, 0)
    assert isinstance(kept.world.records, ListRecords)
    [trouble] = kept.world.records.troubles
    assert (trouble["event"], trouble["id"]) == ("records.late", "req_1.1")
    assert kept.archived()["usage"] == ["req_1.1"]


async def test_lines_are_compressed_below_their_day_with_the_time_they_came(real: Fixture, clients: Any) -> None:
    noon_s = 1_790_000_000.0
    await real.world.archive.store("usage", "2026-09-21", [{"id": "a", "at_s": noon_s}, {"id": "b"}])
    await real.world.archive.store("usage", "2026-09-21", [{"id": "a", "at_s": noon_s}, {"id": "b"}])
    [(key, lines)] = objects(clients["s3"]).items()
    assert key.startswith("usage/dt=2026-09-21/")
    assert key.endswith(".jsonl.gz")
    assert lines == [{"id": "a", "at_s": noon_s, "archived_at_s": NOW_S}, {"id": "b", "archived_at_s": NOW_S}]


async def test_an_archive_without_a_bucket_says_so(real: Fixture, clients: Any) -> None:
    archive = real.world.archive
    assert isinstance(archive, S3Archive)
    place = archive._bucket.place
    archive._bucket.place = Place("nowhere", place.region, place.url.replace(BUCKET, "nowhere"))
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await archive.store("usage", "2026-09-21", [{"id": "a"}])


async def test_log_lines_have_the_time_of_their_event_if_the_log_takes_it(real: Fixture, clients: Any) -> None:
    old, early, late = audit("old", NOW_S - 40 * 86_400), audit("early", NOW_S - 60), audit("late", NOW_S + 60)
    await real.world.audit_log.write([old, early, late])
    found = clients["logs"].filter_log_events(logGroupName=GROUP)["events"]
    filed = {json.loads(line["message"])["id"]: line["timestamp"] / 1000 for line in found}
    assert filed == {"old": NOW_S - 23 * 3600, "early": NOW_S - 60, "late": NOW_S}
    assert json.loads(found[0]["message"])["at_s"] == old.at_s


async def test_many_events_go_in_batches_that_the_log_takes(real: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = _sizes_of_log_batches(real.apis["logs"], monkeypatch)
    events = [audit(f"e{number}", text="x" * 5_000) for number in range(400)]
    assert len(await real.world.audit_log.unwritten([event.id for event in events])) == 400
    await real.world.audit_log.write(events)
    assert len(sizes) == 2
    assert max(sizes) <= 1_048_576
    assert await real.world.audit_log.unwritten([event.id for event in events]) == set()
    assert len(real.logged()) == 400


def _sizes_of_log_batches(api: AwsApi, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    call = api.call

    async def counting(operation: str, payload: dict[str, Any], *rest: Any) -> dict[str, Any]:
        if operation == "PutLogEvents":
            sizes.append(sum(len(event["message"].encode()) + 26 for event in payload["logEvents"]))
        return await call(operation, payload, *rest)

    monkeypatch.setattr(api, "call", counting)
    return sizes


@pytest.mark.parametrize("seed", range(5))
async def test_a_writer_that_dies_anywhere_loses_nothing_and_counts_nothing_twice(
    real: Fixture, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are worked at until some call to AWS, and then come again with others; as long as it takes."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    usage = [record(f"req_{number}", at_s=NOW_S, cost_nano_usd=dice.randrange(10**9)) for number in range(12)]
    events = [audit(f"req_{number}.{end}") for number in range(12) for end in ("started", "ended")]
    told: list[Told] = [*usage, *events]
    mortal = _Mortal(real, dice, monkeypatch)
    waiting = [Letter(f"m{number}", one) for number, one in enumerate([*told, *dice.sample(told, 10)])]
    for _ in range(500):
        if not waiting:
            break
        dice.shuffle(waiting)
        batch, waiting = waiting[:9], waiting[9:]
        try:
            outcome = await keep(batch, real.world)
        except _Killed:
            await mortal.buried()
            waiting += batch
            continue
        waiting += [letter for letter in batch if letter.message_id in outcome.again]
    assert waiting == []
    assert mortal.deaths >= 2
    mortal.chance = 0
    assert await real.rows() == summed(usage)
    assert {name: set(ids) for name, ids in real.archived().items()} == {
        "usage": {one.id for one in usage},
        "audit": {one.id for one in events},
        "alerts": set(),
    }
    assert set(real.logged()) == {one.id for one in events}


class _Killed(BaseException):
    """As when the process is ended: nothing catches it."""


class _Mortal:
    """Kills the writer at some of its calls, before or after they took effect; then it makes no call any more."""

    def __init__(self, real: Fixture, dice: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deaths, self.chance, self._is_dead = 0, 0.1, False
        for api in real.apis.values():
            monkeypatch.setattr(api, "_send", self._dying(api._send, dice))
        archive = real.world.archive
        assert isinstance(archive, S3Archive)
        monkeypatch.setattr(archive._bucket, "_send", self._dying(archive._bucket._send, dice))

    async def buried(self) -> None:
        """Calls on their way end, for a transaction of moto's undoes others at the same time."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        self._is_dead = False

    def _dying(self, send: Any, dice: random.Random) -> Any:
        async def dying(*arguments: Any) -> Any:
            fate = dice.random()
            self._die_if(self._is_dead or fate < self.chance)
            if fate < 1.5 * self.chance:
                raise AwsFailure("Unreachable", is_fault=False)
            answer = await send(*arguments)
            self._die_if(self._is_dead or fate > 1 - self.chance)
            return answer

        return dying

    def _die_if(self, struck: bool) -> None:
        if struck:
            self.deaths += not self._is_dead
            self._is_dead = True
            raise _Killed
