"""Part E: functions and sweepers that are killed at random, in memory: what stays behind when all has been swept."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from benchmarks import aims
from benchmarks.figures import Row, Table
from benchmarks.report import Report
from gateway.model.record import UsageRecord
from local.console import Progress
from tests.dying import Fate, Killed
from tests.sweeping import Stage

REQUESTS = 10_000
KILLED = 0.05
STEPS = 10
"""Of one request: tests/unit/test_sweep.py holds them to it."""
SWEEPERS = 8
"""That are to be killed, each at one of its first steps; the one after them ends what is left."""
STEPS_OF_A_SWEEP = 200
SEED = 1


def measure(share: float, progress: Progress) -> Report:
    with progress.step(f"{int(REQUESTS * share)} requests, {KILLED:.0%} of their functions killed"):
        return asyncio.run(_measure(int(REQUESTS * share)))


async def _measure(requests: int) -> Report:
    dice, stage, killed = random.Random(SEED), Stage(), 0  # noqa: S311 - the same every time
    for _ in range(requests):
        fate = Fate(dice.randrange(STEPS) if dice.random() < KILLED else None)
        with suppress(Killed):
            await stage.chat(fate)
        killed += fate.is_dead
        stage.clock.unix_s += dice.random() / 10
    leaked_before = sum(len(reading.holds) for reading in (await stage.books()).values())
    sweepers_killed = 0
    for _ in range(SWEEPERS):
        dice.shuffle(stage.events.told)
        fate = Fate(dice.randrange(STEPS_OF_A_SWEEP))
        with suppress(Killed):
            await stage.judgement_day(fate)
        sweepers_killed += fate.is_dead
    while (swept := await stage.judgement_day()).settled + swept.released + swept.lost + swept.failed:
        pass  # each ends so many at most
    await stage.check()  # books of both levels say what usage says, and each start has one end
    figures = {
        "requests": requests,
        "functions killed": killed,
        "holds before the sweep": leaked_before,
        "sweepers killed": sweepers_killed,
    }
    return await _report(stage, figures)


async def _report(stage: Stage, figures: dict[str, int]) -> Report:
    leaked = sum(len(reading.holds) for reading in (await stage.books()).values())
    ends, starts, used = stage.ends(), stage.starts(), await stage.used()
    told = {record.id for record in stage.told(UsageRecord)}
    figures |= {
        "requests with a usage record": len(told),
        "usage records delivered": stage.delivered,
        "usage records counted": used["requests"],
        "lost": used.get("lost", 0),
    }
    rows = [Row.single(name, "", [float(value)]) for name, value in figures.items()]
    missing = len(set(starts) - ends.keys()) + sum(len(each) != 1 for each in ends.values())
    verdicts = [
        aims.LEAKED_HOLDS.judged(float(leaked)),
        aims.MISSING_ENDS.judged(float(missing)),
        aims.COUNTED_TWICE.judged(float(abs(used["requests"] - len(told)))),
    ]
    note = (
        "The gateway's own code with its stores in memory: a function dies before or after the effect of any of its "
        f"{STEPS // 2} calls; everything that is told comes at least twice and in any order."
    )
    return Report([Table("E: functions are killed", note, rows)], verdicts)
