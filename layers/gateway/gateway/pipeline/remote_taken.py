"""The one place where a provider's name for what it has begun enters a job's record."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.errors import GatewayError, JobCancelled, StorageUnavailable
from gateway.model.job import Job, RemoteWork
from gateway.pipeline.exchange import Exchange, milliseconds
from gateway.pipeline.handed_over import held_of
from gateway.pipeline.job_accept import START_AGAIN_S
from gateway.pipeline.job_record import PAUSES_S
from gateway.pipeline.job_sweep import LATER_S
from gateway.pipeline.remote_stop import stop
from gateway.pipeline.said_before import unguarded
from gateway.ports import World


async def taken(job: Job, remote_id: str, exchange: Exchange, world: World, look_after_s: float) -> Job:
    """The record with that name, on top of whatever somebody else changed meanwhile.

    Raises StorageUnavailable (503) and JobCancelled (409): it was cancelled while it was asked for. Then the provider
    is told to stop, and is paid.
    """
    assert job.remote is not None  # noqa: S101 - it was opened with it
    attempt = exchange.attempts[-1]
    taken_ms = milliseconds((attempt.ended_s or world.clock.monotonic_s()) - attempt.started_s)
    look_at_s, own_key = world.clock.now_s() + look_after_s, attempt.key_of is not None
    remote = replace(job.remote, id=remote_id, look_at_s=look_at_s, own_key=own_key, taken_ms=taken_ms)
    try:
        named = await _named(job, remote, exchange, world)
    except GatewayError:
        await stop(replace(job, remote=remote), unguarded(world))
        raise
    exchange.job_id, exchange.goes_on = job.id, True
    return named


async def _named(job: Job, remote: RemoteWork, exchange: Exchange, world: World) -> Job:
    """What is not answered is tried again: nobody else knows that name. Raises as `taken`."""
    due_at_s = int(world.clock.now_s()) + (START_AGAIN_S if exchange.job is None else LATER_S)
    unanswered = StorageUnavailable("The job's record changes all the time.")
    for pause_s in PAUSES_S:
        try:
            named = job.changed(remote=remote, held=held_of(exchange, world), alive_until_s=0)
            if await world.jobs.change(named, due_at_s):
                return named
            job = await world.jobs.get(job.tenant_id, job.id)
        except StorageUnavailable as error:
            unanswered = error
            await world.clock.sleep(pause_s)
            continue
        if job.remote is not None and job.remote.id == remote.id:
            return job  # by a try that was not answered
        if job.has_ended:
            raise JobCancelled("The job was cancelled before its provider had begun.")
    raise unanswered
