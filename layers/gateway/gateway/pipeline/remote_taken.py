"""The one place where a provider's name for what it has begun enters a job's record."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.errors import JobCancelled, StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import held_of
from gateway.pipeline.job_accept import START_AGAIN_S
from gateway.pipeline.job_sweep import LATER_S
from gateway.pipeline.remote_stop import stop
from gateway.ports import World

TAKE_TRIES = 5


async def taken(job: Job, remote_id: str, exchange: Exchange, world: World, look_after_s: float) -> Job:
    """The record with that name, on top of whatever somebody else changed meanwhile.

    Raises StorageUnavailable (503): then the provider is paid for what nobody can find again; JobCancelled (409): it
    was cancelled while it was asked for, and the provider has been told.
    """
    assert job.remote is not None  # noqa: S101 - it was opened with it
    now_s = world.clock.now_s()
    remote = replace(job.remote, id=remote_id, look_at_s=now_s + look_after_s)
    due_at_s = int(now_s) + (START_AGAIN_S if exchange.job is None else LATER_S)
    for _ in range(TAKE_TRIES):
        named = job.changed(remote=remote, held=held_of(exchange, world), alive_until_s=0)
        if await world.jobs.change(named, due_at_s):
            exchange.job_id, exchange.goes_on = job.id, True
            return named
        job = await world.jobs.get(job.tenant_id, job.id)
        if job.has_ended:
            await stop(replace(job, remote=remote), world)
            raise JobCancelled("The job was cancelled before its provider had begun.")
    raise StorageUnavailable("The job's record changes all the time.")
