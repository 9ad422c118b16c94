"""Jobs that nobody carries on, as the sweep sees to them."""

from __future__ import annotations

import pytest

from gateway.model.job import Job
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import ask
from tests.fakes import ListExecutions, ListRecords
from tests.unit.test_jobs import Gateway, gateway

__all__ = ["gateway"]


async def test_the_sweeper_starts_what_was_throttled_and_ends_what_died(gateway: Gateway) -> None:
    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.is_throttled = True
    job_id = await gateway.accepted()
    executions.is_throttled = False
    outcomes = []
    for state in (None, True, False):
        gateway.clock.unix_s += 400
        if state is not None:
            executions.started[job_id] = state
        swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
        outcomes.append((swept.started, swept.running, swept.ended))
    assert outcomes == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert ((await gateway.shown(job_id))["status"], gateway.holds) == ("failed", 0)
    assert list(gateway.costs.values()) == [0]


async def test_a_sweep_starts_no_more_than_a_moment_can_take(gateway: Gateway) -> None:
    """The others at the next, and what needs no start is seen to all the same."""
    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.is_throttled = True
    first, *_, last = [await gateway.accepted() for _ in range(5)]
    await gateway.step(ask, last)
    executions.is_throttled = False
    gateway.clock.unix_s += 400
    outcomes = []
    for _ in range(3):
        swept = await sweep_jobs(gateway.world, at_most=10, starts=2, until_s=gateway.clock.now_s() + 60)
        outcomes.append((swept.started, swept.settled))
    assert outcomes == [(2, 1), (2, 0), (0, 0)]
    assert first in executions.started


async def test_an_end_of_which_nothing_is_owed_is_looked_at_once_more_and_no_longer(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    settled = await gateway.job(job_id)
    assert await gateway.world.jobs.change(settled.changed(), int(gateway.clock.now_s()))
    outcomes = []
    for _ in range(2):
        gateway.clock.unix_s += 60
        swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
        outcomes.append((swept.settled, swept.failed))
    assert outcomes == [(1, 0), (0, 0)]
    assert (await gateway.shown(job_id))["status"] == "completed"


async def test_what_cannot_be_settled_is_tried_more_and_more_seldom_and_holds_nobody_up(gateway: Gateway) -> None:
    """Whose it is cannot be read."""
    stuck = await gateway.accepted()
    await gateway.step(ask, stuck)
    gateway.access.is_down = True
    tries = []
    for minute in range(24 * 60):
        gateway.clock.unix_s += 60
        swept = await sweep_jobs(gateway.world, at_most=1, until_s=gateway.clock.now_s() + 60)
        tries += [minute] * swept.failed
    assert 5 < len(tries) < 40
    assert tries[-1] - tries[-2] > tries[1] - tries[0]
    gateway.access.is_down = False
    gateway.clock.unix_s += 3_600
    assert (await sweep_jobs(gateway.world, at_most=1, until_s=gateway.clock.now_s() + 60)).settled == 1
    assert gateway.holds == 0


async def test_a_defect_over_one_job_keeps_no_sweep_from_the_others(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, other = await gateway.accepted(), await gateway.accepted()
    start = gateway.world.executions.start

    async def fails(job: Job) -> bool:
        if job.id == odd:
            raise KeyError("a prompt")
        return await start(job)

    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.started.clear()
    monkeypatch.setattr(executions, "start", fails)
    gateway.clock.unix_s += 400
    outcomes = []
    for _ in range(2):
        swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
        outcomes.append((swept.started, swept.failed))
    assert outcomes == [(1, 1), (0, 0)]
    assert other in executions.started
    assert isinstance(gateway.world.records, ListRecords)
    (trouble,) = gateway.world.records.troubles
    assert (trouble["event"], trouble["job_id"], trouble["reason"]) == ("job.not_swept", odd, "KeyError")
