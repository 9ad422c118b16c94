"""A job that its tenant wants no more."""

from __future__ import annotations

from gateway.model.errors import JobCancelled
from gateway.model.job import Job
from gateway.pipeline.background_cancel import cancelled_in_the_background
from gateway.pipeline.callbacks import wake
from gateway.pipeline.job_end import give_up, settled
from gateway.pipeline.remote_stop import stop
from gateway.pipeline.video_check import usage_kept
from gateway.pipeline.video_end import Ending, end
from gateway.ports import World


async def cancel(job: Job, world: World) -> Job:
    """Cancelled, or as it had ended before. What a provider is at goes on where nothing stops it, and is paid. Of one
    that is just being asked for the record says so, and who asks for it stops it, tells and settles.

    Raises StorageUnavailable and AdmissionUnavailable (503).
    """
    if job.has_ended:
        return job
    error = JobCancelled("The job was cancelled before it had a result.")
    if not job.is_begun:
        job = await settled(await give_up(job, error, world), world)
        if job.has_ended:
            return job
    if job.operation != "videos":
        ended = await cancelled_in_the_background(job, error, world)
    else:
        ended = await end(job, Ending("cancelled", usage_kept(job.facts), error=error), world)
        if ended.status == "cancelled":
            await stop(job, world)
    if ended.status == "cancelled":
        await wake(job, world)
    return ended
