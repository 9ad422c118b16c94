"""Batches that nobody carries on any more: started, ended or settled by whoever sweeps."""

from __future__ import annotations

from gateway.model.batch import KIND
from gateway.model.job import Job
from gateway.pipeline.batch_end import finish
from gateway.pipeline.job_causes import EXECUTION_ENDED
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import JobBusy
from gateway.pipeline.job_sweep import SweptJobs, Told, end_seen_to, later, sweep_jobs
from gateway.ports import World


async def sweep_batches(world: World, *, at_most: int, until_s: float, told: Told | None = None) -> SweptJobs:
    """As `sweep_jobs`. Raises StorageUnavailable (503)."""
    return await sweep_jobs(world, at_most=at_most, until_s=until_s, told=told, kinds=(KIND,), see_to=_seen_to)


async def _seen_to(job: Job, world: World, *, tells: bool) -> str:
    """Where an execution runs it sees to the batch itself."""
    if job.has_ended:
        return await end_seen_to(job, world, tells=tells)
    if await world.executions.is_running(job):
        await later(job, world)
        return "running"
    if job.status == "pending" and await world.executions.start(job):
        await later(job, world)
        return "started"
    try:
        await settle(await finish(job, world, EXECUTION_ENDED), world)
    except JobBusy:
        await later(job, world)
        return "running"
    return "ended"
