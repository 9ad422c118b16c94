"""Batches that have not ended and that nobody carries on: started or ended by whoever sweeps."""

from __future__ import annotations

from gateway.job_ports import DueJob
from gateway.model.batch import KIND
from gateway.model.job import ENDED, Job
from gateway.pipeline.batch_end import finish
from gateway.pipeline.job_causes import EXECUTION_ENDED
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import JobBusy
from gateway.pipeline.job_sweep import SweptJobs, Told, later, sweep_jobs
from gateway.ports import World

SOON_S = 45
"""Less than there is between two sweeps."""


async def sweep_batches(world: World, *, at_most: int, until_s: float, told: Told | None = None) -> SweptJobs:
    """As `sweep_jobs`. Raises StorageUnavailable (503)."""
    return await sweep_jobs(world, at_most=at_most, until_s=until_s, told=told, is_ours=_is_ours, see_to=_seen_to)


def _is_ours(found: DueJob) -> bool:
    return found.id.startswith(f"{KIND}_") and found.status not in ENDED


async def _seen_to(job: Job, world: World, *, tells: bool) -> str:  # noqa: ARG001 - as a sweep calls it
    """Where an execution runs it sees to the batch itself; of one that has ended by now the sweep over jobs does."""
    if job.has_ended:
        return "settled"
    if await world.executions.is_running(job):
        await later(job, world)
        return "running"
    if job.status == "pending" and await world.executions.start(job):
        await later(job, world)
        return "started"
    try:
        await settle(await finish(job, world, EXECUTION_ENDED), world)
    except JobBusy:
        await soon(job, world)
        return "running"
    return "ended"


async def soon(job: Job, world: World) -> None:
    """The next sweep tries again to end it: by then who is at a part of it, or brings it in, has done that."""
    await world.jobs.change(job.changed(), int(world.clock.now_s()) + SOON_S)
