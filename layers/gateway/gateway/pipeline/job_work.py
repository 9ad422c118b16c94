"""A job's request, carried out by a worker that may die anywhere, from its record to its end.

Before a provider is asked for anything the record says so. Who finds a job in that state and without an end knows that
a worker died meanwhile: the provider may have been paid, so nobody asks it again, and what became of it stays unknown.
A worker that died before that is followed by one that begins anew.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from gateway.model.caller import Caller
from gateway.model.errors import (
    AdmissionUnavailable,
    GatewayError,
    InvalidApiKey,
    JobCancelled,
    JobInterrupted,
    StorageUnavailable,
    TenantDisabled,
)
from gateway.model.job import Job, JobResult
from gateway.model.provider_errors import CircuitOpen, ProviderBusy
from gateway.model.tenant import Principal
from gateway.pipeline.background_left import taken_over
from gateway.pipeline.background_look import BackgroundLook
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import still_held
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_causes import LOST, NOT_HELD, TOO_LATE
from gateway.pipeline.job_end import Unforeseen, end_by, exchange_of, give_up
from gateway.pipeline.job_endpoints import ENDPOINTS
from gateway.pipeline.job_record import WORK_S, JobBusy, JobRecord, Overtaken
from gateway.pipeline.job_result import kept_result
from gateway.pipeline.said_before import SaidBefore
from gateway.pipeline.upload import delete_uploads
from gateway.pipeline.video_look import Look
from gateway.pipeline.vital_signs import tell_health
from gateway.ports import World

MOMENTARY = (StorageUnavailable, AdmissionUnavailable)
TURNED_AWAY = (ProviderBusy, CircuitOpen)
"""Before anything was sent."""


class JobPending(Exception):
    """It has not ended yet: the state machine looks again, more and more seldom. Its name is in `job.asl.json`."""


async def ask(job: Job, world: World, unforeseen: Unforeseen | None = None) -> Job:
    """The job with its end recorded, or as a provider has begun it. Raises JobBusy, StorageUnavailable,
    AdmissionUnavailable, ProviderBusy and CircuitOpen (503), and defects of which nothing is made: then the step is to
    be repeated.
    """
    if job.has_ended or (job.is_begun and not job.is_hidden):
        return job
    if job.alive_until_s > world.clock.now_s():
        raise JobBusy
    if job.is_hidden:
        job = await taken_over(job, world)
    if job.has_ended or job.is_begun:
        return job
    if job.is_asked:
        return await give_up(job, JobInterrupted(LOST), world)
    if world.clock.now_s() >= job.expires_at_s:
        return await give_up(job, JobInterrupted(TOO_LATE), world)
    exchange = await exchange_of(job, world)
    if exchange.ticket is not None and not await still_held(exchange.ticket, job.expires_at_s):
        return await give_up(job, JobInterrupted(NOT_HELD), world)
    try:
        return await _carried_out(exchange, world, unforeseen)
    except Overtaken:
        raise JobBusy from None


async def look(job: Job, world: World, every_s: float, unforeseen: Unforeseen | None = None) -> Job:
    """A job as it is now. Raises JobPending for one that has not ended, also when nobody can see that at the moment:
    what its provider makes goes on meanwhile.
    """
    if job.is_begun:
        is_video = job.operation == "videos"
        looker = Look(world, every_s) if is_video else BackgroundLook(world, every_s, unforeseen=unforeseen)
        try:
            job = await looker.at(job)
        except MOMENTARY as error:
            world.records.trouble("job.not_looked_at", request_id=job.request_id, reason=error.message)
            raise JobPending from error
    elif not job.has_ended and world.clock.now_s() > (job.started_at_s or job.created_at_s) + WORK_S:
        job = await give_up(job, JobInterrupted(LOST), world)
    if not job.has_ended:
        raise JobPending
    return job


async def close(job: Job, error: GatewayError, world: World) -> Job:
    """The end of a job whose execution comes to nothing more. Raises JobBusy while a worker is believed to be at it."""
    if not job.has_ended and job.alive_until_s > world.clock.now_s():
        raise JobBusy
    return await give_up(job, error, world)


async def _carried_out(exchange: Exchange, world: World, unforeseen: Unforeseen | None) -> Job:
    record = exchange.job
    assert record is not None  # noqa: S101 - it was made of one
    async with record.beating():
        try:
            found = await _found(record, exchange, world, unforeseen)
            ended = found if isinstance(found, Job) else await end_by(exchange, found, world, exchange.record_by_s)
        finally:
            await exchange.left()
            await tell_health(exchange, world)
    if isinstance(found, Job):
        await delete_uploads(exchange, world, goes_on=True)
    return ended


async def _found(
    record: JobRecord, exchange: Exchange, world: World, unforeseen: Unforeseen | None
) -> Job | JobResult | None:
    """The job as a provider has begun it, or its result; None for none, and then the exchange has the error."""
    try:
        await check_order(record.now, exchange.principal, world)
        await record.change(status="running", started_at_s=int(world.clock.now_s()))
        outcome = await _outcome(record, exchange, world)
        return outcome if isinstance(outcome, Job) else await kept_result(outcome, exchange, world)
    except GatewayError as error:
        if isinstance(error, (*MOMENTARY, *TURNED_AWAY)) and not record.now.is_asked:
            raise
        exchange.error = error
    except Overtaken:
        raise
    except Exception as defect:  # nobody may ask again, and what it has cost is known here alone
        if unforeseen is None or not record.now.is_asked:
            raise
        exchange.error = unforeseen(defect, exchange)
    return None


async def _outcome(record: JobRecord, exchange: Exchange, world: World) -> Any:
    """What the request's own capability makes of it."""
    job = record.now
    assert job.request is not None  # noqa: S101 - it is there as long as the job has not ended
    body = await world.payloads.get(job)
    inbound = Inbound("", job.request.content_type, body, accept="application/json", path=job.endpoint)
    saying = replace(world, outbound=SaidBefore(world.outbound, record, exchange, world))
    try:
        return await ENDPOINTS[job.endpoint].run(inbound, exchange, saying)
    except TURNED_AWAY:
        await _put_back(record, exchange, body, world)
        raise


async def _put_back(record: JobRecord, exchange: Exchange, body: bytes, world: World) -> None:
    """The record of a video, or of what works in the background, says that a provider is asked a moment before he is.
    Where all were turned away nobody was, and the next worker begins anew. What cannot be put back has failed.
    """
    is_nobody_asked = all(isinstance(one.error, TURNED_AWAY) and not one.uploads for one in exchange.attempts)
    if record.now.is_asked and is_nobody_asked:
        with suppress(StorageUnavailable, JobCancelled):
            await world.payloads.put(record.now, body)
            await record.change(is_asked=False, remote=None)


async def check_order(job: Job, principal: Principal | None, world: World) -> None:
    """It was admitted; who was switched off since is asked for nothing more, nor what a key ordered that was revoked.

    Raises TenantDisabled (403), InvalidApiKey (401), AdmissionUnavailable (503).
    """
    assert principal is not None  # noqa: S101 - a job is somebody's
    if principal.tenant.status != "active" or principal.user.status != "active":
        raise TenantDisabled("The tenant or the user was disabled before the job began.")
    if job.request is None or job.request.key_hash is None:
        return
    known = await world.access.read(Caller(key_hash=job.request.key_hash))
    if known is None or known.key.status != "active":
        raise InvalidApiKey("The key that ordered the job was revoked before it began.")
