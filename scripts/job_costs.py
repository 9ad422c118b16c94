"""What a job costs on AWS, counted and written into docs/jobs.md: `python scripts/job_costs.py`.

Jobs of a gateway in memory are carried on by their own state machine, and every call that leaves the gateway is counted
as the request that its adapter sends. tests/e2e/test_job_histories.py holds the transitions to real histories.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import msgspec

from gateway.model.job import Job
from tests.dying import Fate, Killed, Moment
from tests.fakes import ManualClock, MemoryJobs
from tests.job_stage import Stage
from tests.machine import TASKS

PAGE = Path(__file__).parents[1] / "docs" / "jobs.md"
PLACE = re.compile(r"(?<=<!-- costs -->\n).*?(?=<!-- /costs -->)", re.DOTALL)
MICRO_USD = {
    "transitions": 25.0,
    "invocations": 0.2,
    "writes": 0.625,
    "reads": 0.125,
    "puts": 5.0,
    "gets": 0.4,
    "told": 1.0,
}
"""Each, us-east-1, 2026-11, on demand, without free tiers: https://aws.amazon.com/step-functions/pricing/,
/lambda/pricing/, /dynamodb/pricing/on-demand/, /s3/pricing/, /eventbridge/pricing/"""
ITEM_BYTES, UNIT_BYTES = 250, 1_024
"""Of a record's item besides its document; of a write unit: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"""
READS = {"access.read": 3, "jobs.get": 1, "ledger.read": 1}
"""Items that are read, each within 4 KB and consistently."""
WRITES = ("ledger.reserve", "ledger.enlarge", "ledger.settle", "ledger.add", "callbacks.wait", "callbacks.forget")
PUTS = ("payloads.put", "payloads.keep_reply", "files.put", "files.put_stream")
GETS = ("payloads.get", "files.get")
TWO_MINUTES_S = 120
ASK = "Ask the provider"


@dataclass
class WeighedJobs(MemoryJobs):
    """`units`: written to the table, and to its indices, which have keys alone: one that changes is two writes."""

    units: int = 0

    async def create(self, job: Job, due_at_s: int) -> None:
        await super().create(job, due_at_s)
        self.units += _units(job) + 2

    async def change(self, job: Job, due_at_s: int | None = None) -> bool:
        last, last_due_s = self.held[job.tenant_id, job.id]
        is_changed = await super().change(job, due_at_s)
        if is_changed:
            self.units += max(_units(last), _units(job))
            self.units += (last_due_s is not None) + (due_at_s is not None) + 2 * (last.status != job.status)
        return is_changed


def _units(job: Job) -> int:
    return ceil((len(msgspec.json.encode(job)) + ITEM_BYTES) / UNIT_BYTES)


@dataclass(frozen=True)
class Costs:
    """Of one job, from its order to the bill. Numbers of requests, by the names in MICRO_USD."""

    numbers: dict[str, int]

    @property
    def micro_usd(self) -> float:
        return sum(MICRO_USD[name] * number for name, number in self.numbers.items())


Happening = Callable[[Stage, str], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """`happens`: to the job while its provider is asked. `lasts_s`: until its provider has finished."""

    order: str
    happens: Happening | None = None
    lasts_s: float = 0


async def _cancelled(stage: Stage, job_id: str) -> None:
    await stage.send("DELETE", f"/v1/jobs/{job_id}")


async def _killed(_stage: Stage, _job_id: str) -> None:
    raise Killed


KINDS = {
    "a chat, an embedding": Kind("chat"),
    "one whose reply is stored as a file": Kind("large"),
    "one that its provider refuses": Kind("refused"),
    "one that is cancelled while its provider works": Kind("chat", _cancelled),
    "one whose worker dies while its provider works": Kind("chat", _killed),
    "a chat whose end is told to a webhook": Kind("told"),
    "a video that takes two minutes": Kind("video", lasts_s=TWO_MINUTES_S),
    "one whose provider calls back": Kind("called"),
}


async def counted(kind: Kind) -> Costs:
    looks = 0
    while True:
        stage, jobs, calls = await _carried_on(kind, looks)
        if stage.clock.now_s() - ManualClock().now_s() >= kind.lasts_s:
            return _costs(stage, jobs, calls)
        looks += 1


async def _carried_on(kind: Kind, looks: int) -> tuple[Stage, WeighedJobs, Counter[str]]:
    jobs, calls, made = WeighedJobs(), Counter[str](), list[str]()
    stage = Stage.of(kind.order, jobs=jobs)
    stage.jitter, stage.provider.unfinished = 0.5, looks

    async def happens(_: Moment) -> None:
        if kind.happens is not None:
            await kind.happens(stage, made[0])

    accepting, following = Fate(), Fate()
    stage.fates = {state: Fate("after outbound.open", happens) if state == ASK else Fate() for state in TASKS}
    stage.follower = following
    made.append((await stage.order(accepting)).json["id"])
    await stage.carried_on(made[0])
    for fate in (accepting, following, *stage.fates.values()):
        calls.update(moment.call for moment in fate.passed if not moment.is_done)
    return stage, jobs, calls


def _costs(stage: Stage, jobs: WeighedJobs, calls: Counter[str]) -> Costs:
    assert stage.walk is not None  # noqa: S101 - it was carried on
    heard = stage.kind == "called"  # by the receiver of its provider's message, which notes it
    return Costs(
        {
            "transitions": stage.walk.transitions,
            "invocations": 1 + len(stage.entered) + calls["webhook_sender.send"] + heard,
            "writes": jobs.units + sum(calls[name] for name in WRITES) + heard,
            "reads": sum(number * calls[name] for name, number in READS.items()),
            "puts": sum(calls[name] for name in PUTS),
            "gets": sum(calls[name] for name in GETS),
            "told": len(stage.told),
        }
    )


def table() -> str:
    requests = ("Lambda calls", "DynamoDB write units", "read units", "S3 writes", "reads", "Events")
    heads = ("", "State transitions", *requests, "USD for a million")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name, kind in KINDS.items():
        with contextlib.redirect_stdout(io.StringIO()):  # of the functions' own logs
            costs = asyncio.run(counted(kind))
        figures = [*map(str, costs.numbers.values()), f"{costs.micro_usd:.0f}"]
        lines.append(f"| {' | '.join([name, *figures])} |")
    return "\n".join([*lines, ""])


def page(text: str) -> str:
    return PLACE.sub(lambda _: table(), text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
