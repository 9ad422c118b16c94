"""The reply that an ended job keeps, and its end: in its time, or when its tenant wants it no more."""

from __future__ import annotations

from gateway.model.errors import StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.job_end import due_of, settled
from gateway.pipeline.job_record import BUSY, TRIES
from gateway.ports import World


async def without_reply(job: Job, world: World) -> Job:
    """Media that it made stay in the tenant's files, as those of every request. Raises StorageUnavailable (503)."""
    if job.result is not None:
        if job.result.key is not None:
            await world.payloads.drop_reply(job.result.key)
        for file_id in job.result.files:
            await world.files.delete(job.tenant_id, file_id)
    return job.changed(result=None)


async def forgotten(job: Job, world: World) -> Job:
    """An ended job whose tenant wants its reply no more; a video has a route for that. Raises StorageUnavailable (503),
    AdmissionUnavailable (503).
    """
    for _ in range(TRIES):
        job = await settled(job, world)
        if job.result is None or job.operation == "videos":
            return job
        left = await without_reply(job, world)
        if await world.jobs.change(left, due_of(left, world.clock.now_s())):
            return left
        job = await world.jobs.get(job.tenant_id, job.id)
    raise StorageUnavailable(BUSY)
