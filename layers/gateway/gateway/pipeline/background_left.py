"""A chat in the background whose request died while it waited: its tenant is told what he would have been told then."""

from __future__ import annotations

from gateway.model.errors import JobInterrupted, StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import count_as_job, take_as_it_stands
from gateway.pipeline.hidden import shown
from gateway.pipeline.job_causes import NOT_ASKED
from gateway.pipeline.job_end import exchange_of, give_up
from gateway.pipeline.job_record import BUSY, TRIES
from gateway.pipeline.job_sweep import LATER_S
from gateway.ports import World


async def taken_over(job: Job, world: World) -> Job:
    """A hidden job as everybody may see it from now on: going on, or at its end where no provider was asked.

    Raises StorageUnavailable, AdmissionUnavailable (503).
    """
    exchange = await exchange_of(job, world)
    assert exchange.principal is not None  # noqa: S101 - a job is somebody's
    if not job.is_asked:
        return await _never_asked(job, exchange, world)
    if exchange.ticket is not None:
        await take_as_it_stands(exchange.ticket)
        await count_as_job(exchange.ticket)
    for _ in range(TRIES):
        told = shown(job, exchange.principal.tenant).changed()
        if await world.jobs.change(told, int(world.clock.now_s()) + LATER_S):
            return told
        job = await world.jobs.get(job.tenant_id, job.id)
        if job.has_ended or not job.is_hidden:
            return job
    raise StorageUnavailable(BUSY)


async def _never_asked(job: Job, exchange: Exchange, world: World) -> Job:
    """It costs nothing. Where nothing is held any more the request was answered that there is no job, and its end was
    told: then there is none.
    """
    ticket, error = exchange.ticket, JobInterrupted(NOT_ASKED)
    if ticket is not None:
        await take_as_it_stands(ticket)
    if ticket is not None and ticket.entries:
        return await give_up(job, error, world)
    told = error.wire(job.request_id)["error"]
    ended = job.ended("failed", world.clock.now_s(), world.job_kept_s, request=None, held=None, error=told)
    if await world.jobs.change(ended):
        return ended
    return await world.jobs.get(job.tenant_id, job.id)
