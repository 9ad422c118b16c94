"""Part S: mixed traffic for half an hour through the whole local stack; then memory and all books are looked at."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from benchmarks import aims
from benchmarks.audited import (
    HELD,
    NOT_ONE_RESULT,
    OF_NOBODY,
    WITHOUT_END,
    WITHOUT_RECORD,
    Archived,
    Differences,
    Written,
    compare,
)
from benchmarks.customers import MAX_OPEN, TIMEOUT_S, Customers
from benchmarks.figures import Figure, Row, Table
from benchmarks.governed import Books
from benchmarks.plateau import EVERY_S, STORE, Grown, Memory, grown
from benchmarks.report import Report
from benchmarks.through_stack import own_stack
from benchmarks.traffic import (
    FAILING,
    KINDS,
    LITTLE,
    LITTLE_FITS,
    NOBODY,
    OUTAGES,
    REVOKED,
    TENANTS,
    WELL,
    Gathered,
    Seen,
)
from local.console import Problem, Progress
from local.endpoints import Endpoints

WARM_UP = 0.1
"""Of the run, before memory is looked at; its requests count like any other."""
OUTAGE_S = 20.0
SETTLED_WITHIN_S = 600.0
READ_WITHIN_S = 300.0
LOOKS_EVERY_S = 5.0
USAGE_COMES_WITHIN_S = 15.0
"""Three times as long as records are gathered before they are kept."""
MOST_SAID = 50
WATCHED = {"chat", "embeddings", STORE}
"""Whose memory has to have been compared: they are asked all the time, from the beginning."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long was asked, how often in each second there should have been a request, how late one left at most."""

    seconds: float
    rate_per_s: float
    latest_s: float

    def left(self, seen: Sequence[Seen]) -> float:
        """Requests that left, in percent of those that were due; what goes with an order is none."""
        kinds = {kind.name for kind in KINDS}
        return 100 * sum(one.kind in kinds for one in seen) / (self.seconds * self.rate_per_s)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stack, its administration and what this run is called there: its tenants' ids begin so. `seconds`: how long it
    is asked, `rate_per_s` times in each.
    """

    endpoints: Endpoints
    admin: httpx.Client
    run: str
    seconds: float
    rate_per_s: float

    def tenant_id(self, tenant: str) -> str:
        return f"{self.run}-{tenant}"


def measure(minutes: float, rate_per_s: float, progress: Progress) -> Report:
    """Raises Problem."""
    with own_stack(progress) as endpoints:
        headers = {"authorization": f"Bearer {endpoints.admin_key}"}
        with httpx.Client(base_url=f"{endpoints.origin}/admin", headers=headers, timeout=60) as admin:
            stage = Stage(endpoints, admin, f"soak-{int(time.time())}", minutes * 60, rate_per_s)
            return soaked(stage, progress)


def soaked(stage: Stage, progress: Progress) -> Report:
    with progress.step("every function is asked for the first time, by tenants of whom nobody reads the books"):
        asyncio.run(_warm_up(stage))
    keys = _keys(stage)
    memory, day = Memory(), time.strftime("%Y-%m-%d", time.gmtime())
    with progress.step(f"{stage.seconds / 60:g} minutes of mixed traffic"):
        gathered, latest_s = asyncio.run(_asked(stage, keys, memory))
    with progress.step("holds, usage and audit are read"):
        found = _compared(stage, gathered, day)
    for words in [*gathered.unexpected[:MOST_SAID], *(f"never seen: {way}" for way in never_seen(gathered.seen))]:
        progress.say(words)
    for what, named in found.named.items():
        for which in named:
            progress.say(f"{what}: {which}")
    return report_of(gathered, found, memory, Pace(stage.seconds, stage.rate_per_s, latest_s))


def _keys(stage: Stage) -> dict[str, str]:
    return {tenant: _made(stage, tenant) for tenant in TENANTS} | {NOBODY: "gwk_soak_of_nobody"}


async def _warm_up(stage: Stage) -> None:
    """As many environments as the load needs are started, some at a time, for they start slowly all at once."""
    keys = _keys(replace(stage, run=f"{stage.run}-warm"))
    async with httpx.AsyncClient(base_url=stage.endpoints.http, timeout=TIMEOUT_S, trust_env=False) as client:
        for at_once in (2, 8, MAX_OPEN):
            await Customers(client, keys).ask_each_once(at_once)


def _made(stage: Stage, tenant: str) -> str:
    """A key of the new tenant's, revoked where that is what it is for."""
    tenant_id = stage.tenant_id(tenant)
    settings = {"id": tenant_id, "approvals": ["*"], **TENANTS[tenant]}
    stage.admin.post("/tenants", json=settings).raise_for_status()
    issued = stage.admin.post(f"/tenants/{tenant_id}/keys", json={"user_id": "alice"}).raise_for_status().json()
    if tenant == REVOKED:
        stage.admin.post(f"/tenants/{tenant_id}/keys/{issued['id']}/revoke").raise_for_status()
    key: str = issued["key"]
    return key


async def _asked(stage: Stage, keys: Mapping[str, str], memory: Memory) -> tuple[Gathered, float]:
    """And how late a request left at most, in seconds."""
    limits = httpx.Limits(max_connections=2 * MAX_OPEN, max_keepalive_connections=2 * MAX_OPEN)
    base_url = stage.endpoints.http
    async with httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
        customers = Customers(client, keys)
        beside = [
            asyncio.ensure_future(_outages(stage.endpoints)),
            asyncio.ensure_future(_watched(stage.endpoints, memory, stage.seconds)),
        ]
        try:
            await customers.run(stage.seconds, stage.rate_per_s)
        finally:
            for each in beside:
                each.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
    return customers.gathered, customers.latest_s


async def _watched(endpoints: Endpoints, memory: Memory, seconds: float) -> None:
    """Samples from the end of the warm-up to the end of the load: what is only waited for afterwards tells nothing."""
    await asyncio.sleep(seconds * WARM_UP)
    started_s = time.monotonic()
    while (at_s := time.monotonic() - started_s) < seconds * (1 - WARM_UP):
        await asyncio.to_thread(memory.sample, endpoints, at_s)
        await asyncio.sleep(EVERY_S)


async def _outages(endpoints: Endpoints) -> None:
    """One provider is well and down in turn, for all who ask it."""
    provider, _, model = FAILING.partition("/")
    faults = f"{endpoints.simulators}/_sim/faults"
    async with httpx.AsyncClient(trust_env=False, timeout=30) as control:
        try:
            while True:
                for fault in OUTAGES:
                    (await control.delete(faults)).raise_for_status()
                    if fault:
                        armed = {"provider": provider, "model": model, "fault": fault, "count": 1_000_000}
                        (await control.post(faults, json=armed)).raise_for_status()
                    await asyncio.sleep(OUTAGE_S)
        finally:
            await control.delete(faults)


def _compared(stage: Stage, gathered: Gathered, day: str) -> Differences:
    """`day`: on which the run began."""
    books, found = Books(stage.endpoints, stage.admin), Differences()
    accounts = {tenant: _settled(books, stage.tenant_id(tenant), found) for tenant in TENANTS}
    records, events = _archived(stage, gathered)
    for tenant in TENANTS:
        tenant_id = stage.tenant_id(tenant)
        asked = {"tenant_id": tenant_id, "from": day}
        written = Written(
            accounts[tenant],
            stage.admin.get("/usage", params=asked).raise_for_status().json()["total"],
            [line for line in records if line["tenant_id"] == tenant_id],
            [line for line in events if line["tenant_id"] == tenant_id],
        )
        seen = [one for one in gathered.seen if one.tenant == tenant]
        compare(tenant, seen, gathered.batches if tenant == WELL else [], written, found)
    return found


def _settled(books: Books, tenant_id: str, found: Differences) -> dict[str, dict[str, int]]:
    """Once nothing is held any more, also of what the sweeper had to end."""
    try:
        return books.settled(tenant_id, SETTLED_WITHIN_S)
    except Problem as problem:
        accounts = books.accounts(tenant_id)
        found.add(HELD, str(problem), sum(numbers["holds"] for numbers in accounts.values()))
        return accounts


def _archived(stage: Stage, gathered: Gathered) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Usage and audit of this run, once as many requests have ended there as were asked and no more usage comes, or
    the time is over. Usage is told beside the ends, in files of its own, which may come later.
    """
    archive = Archived(stage.endpoints, {stage.tenant_id(tenant) for tenant in TENANTS})
    wanted = sum(one.tenant != NOBODY for one in gathered.seen) + sum(batch.lines for batch in gathered.batches)
    deadline_s, read, grew_s = time.monotonic() + READ_WITHIN_S, 0, time.monotonic()
    while True:
        events, usage = archive.lines("audit"), archive.lines("usage")
        now_s = time.monotonic()
        if len(usage) > read:
            read, grew_s = len(usage), now_s
        has_ended = sum(line_id.endswith(".ended") for line_id in events) >= wanted
        if (has_ended and now_s - grew_s >= USAGE_COMES_WITHIN_S) or now_s > deadline_s:
            return [*usage.values()], [*events.values()]
        time.sleep(LOOKS_EVERY_S)


def never_seen(seen: Sequence[Seen]) -> list[str]:
    """What this load is for and has not done, in words."""
    outcomes: dict[str, set[str]] = {kind.name: set() for kind in KINDS}
    for one in seen:
        outcomes.setdefault(one.kind, set()).add(one.outcome)
    return [way for kind in KINDS for way in kind.never_seen(outcomes[kind.name])]


def report_of(gathered: Gathered, found: Differences, memory: Memory, pace: Pace) -> Report:
    seconds = pace.seconds
    outcomes = Counter((one.kind, one.outcome) for one in gathered.seen)
    figures = {
        ("requests", ""): float(len(gathered.seen)),
        ("requests a second", ""): len(gathered.seen) / seconds,
        ("batches", ""): float(len(gathered.batches)),
        **{(f"{kind}: {outcome}", ""): float(times) for (kind, outcome), times in sorted(outcomes.items())},
    }
    rows = [Row.single(name, unit, [value]) for (name, unit), value in figures.items()]
    note = (
        f"{seconds / 60:g} minutes, requests at a steady pace where the machine can, {MAX_OPEN} open at most; how "
        "those of each kind ended."
    )
    traffic = Table("S: mixed traffic through the whole local stack", note, rows)
    processes = grown(memory.samples, seconds * (1 - WARM_UP))
    in_a_third = len(gathered.seen) * (1 - WARM_UP) / 3
    return Report(
        [traffic, *_memory_tables(memory, processes)], _verdicts(gathered, found, processes, in_a_third, pace)
    )


def _memory_tables(memory: Memory, processes: list[Grown]) -> list[Table]:
    plateaus = [
        Row(one.name, "MB", {"second third": Figure.over([one.second_mb]), "last third": Figure.over([one.last_mb])})
        for one in processes
    ]
    peaks = [Row.single(name, "MB", [peak_mb]) for name, peak_mb in sorted(memory.peaks_mb().items())]
    note = "Medians, of each function the process that grew most; the emulator (stack) and the providers besides."
    return [
        Table("S: resident memory after the warm-up", note, plateaus),
        Table("S: resident memory at its peak", "Of all processes of that name.", peaks),
    ]


def _verdicts(
    gathered: Gathered, found: Differences, processes: list[Grown], requests_in_a_third: float, pace: Pace
) -> list[aims.Verdict]:
    little = [one.outcome == "ok" for one in gathered.seen if one.tenant == LITTLE]
    beyond_mb = sum(one.excess_mb for one in processes if one.name != STORE)
    stored_mb = sum(one.last_mb - one.second_mb for one in processes if one.name == STORE)
    return [
        aims.UNEXPECTED.judged(float(len(gathered.unexpected))),
        aims.NEVER_SEEN.judged(float(len(never_seen(gathered.seen)))),
        aims.OTHER_THAN_FITS.judged(float(abs(sum(little) - min(LITTLE_FITS, len(little))))),
        aims.PACE.judged(pace.left(gathered.seen)),
        aims.LATEST.judged(pace.latest_s),
        aims.LEFT_HOLDS.judged(float(found.counts[HELD])),
        aims.BOOKS_DIFFER.judged(float(found.nano_usd)),
        aims.NOT_RECORDED.judged(float(found.counts[WITHOUT_RECORD])),
        aims.NOT_ENDED_ONCE.judged(float(found.counts[WITHOUT_END] + found.counts[OF_NOBODY])),
        aims.NOT_ONE_RESULT.judged(float(found.counts[NOT_ONE_RESULT])),
        aims.UNWATCHED.judged(float(len(WATCHED - {one.name for one in processes}))),
        aims.GROWN.judged(beyond_mb),
        aims.STORE_GROWN.judged(1024 * max(0.0, stored_mb) / max(1.0, requests_in_a_third)),
    ]
