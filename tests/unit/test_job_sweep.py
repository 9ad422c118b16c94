"""The sweep over jobs: what stands in nobody's way, and how long jobs wait."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from msgspec.structs import force_setattr

from gateway.entry.job_task import SWEEP_S, JobTask
from gateway.entry.runtime.client import Invocation
from gateway.model.errors import StorageUnavailable
from gateway.model.job import LONGEST_S, Job
from gateway.model.telemetry import DEFECT
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import ask
from tests.fakes import ListExecutions
from tests.unit.test_jobs import Gateway, gateway

__all__ = ["gateway"]


@dataclass
class Poisoned(ListExecutions):
    """One of whose jobs has a defect."""

    bad: str = ""
    asked: list[str] = field(default_factory=list)

    async def is_running(self, job: Job) -> bool:
        self.asked.append(job.id)
        if job.id == self.bad:
            raise KeyError("a prompt")
        return await super().is_running(job)


async def swept(gateway: Gateway) -> dict[str, object]:
    invocation = Invocation("r-1", deadline_s=gateway.clock.now_s() + 900)
    told: dict[str, object] = await JobTask(gateway.world, 5.0).handle({"step": "sweep"}, invocation)
    return told


async def test_one_jobs_defect_ends_no_sweep_and_waits_for_later(
    gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = [await gateway.accepted() for _ in range(3)]
    executions = Poisoned(bad=jobs[0])
    force_setattr(gateway.world, "executions", executions)
    gateway.clock.unix_s += 300
    told = await swept(gateway)
    assert (told["failed"], told["started"]) == (1, 2)
    log = capfd.readouterr().out
    assert DEFECT in log and jobs[0] in log and "a prompt" not in log
    executions.asked.clear()
    gateway.clock.unix_s += 60
    await swept(gateway)
    assert jobs[0] not in executions.asked


async def test_a_defect_in_what_is_read_ends_no_sweep(gateway: Gateway) -> None:
    jobs = [await gateway.accepted() for _ in range(2)]
    get = gateway.world.jobs.get

    async def reads(tenant_id: str, job_id: str) -> Job:
        if job_id == jobs[0]:
            raise ValueError("no record")
        return await get(tenant_id, job_id)

    gateway.world.jobs.get = reads  # type: ignore[method-assign]
    gateway.clock.unix_s += 300
    found = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (found.failed, found.running) == (1, 1)


async def test_a_sweep_tells_how_long_the_oldest_has_waited(gateway: Gateway) -> None:
    """Also of those whose execution runs, for it may be throttled."""
    assert isinstance(gateway.world.executions, ListExecutions)
    first = await gateway.accepted()
    gateway.clock.unix_s += 600
    await gateway.accepted()
    gateway.clock.unix_s += 100
    assert (await swept(gateway))["oldest_pending_s"] == 700
    await gateway.step(ask, first)
    gateway.clock.unix_s += 300
    assert (await swept(gateway))["oldest_pending_s"] == 400


async def test_a_job_that_waits_in_vain_fails_after_a_day(gateway: Gateway) -> None:
    """Its execution is still there, and throttled."""
    job_id = await gateway.accepted()
    gateway.clock.unix_s += LONGEST_S
    assert (await swept(gateway))["ended"] == 1
    shown = await gateway.shown(job_id)
    assert (shown["status"], shown["error"]["code"], gateway.holds) == ("failed", "job_interrupted", 0)
    await gateway.worked(job_id)
    assert gateway.provider.asked == 0


async def test_sweeps_do_not_overlap(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """One begins every minute."""
    assert SWEEP_S < 60
    for _ in range(10):
        await gateway.accepted()
    gateway.clock.unix_s += 300
    begun_s = gateway.clock.now_s()

    async def slowly(job: Job) -> bool:
        gateway.clock.unix_s += 9
        raise StorageUnavailable("slow")

    gateway.world.executions.is_running = slowly  # type: ignore[method-assign]
    assert (await swept(gateway))["failed"] == 6
    assert gateway.clock.now_s() - begun_s < 60
