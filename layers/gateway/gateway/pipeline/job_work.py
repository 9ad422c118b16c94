"""A job's request, carried out by a worker that may die anywhere, from its record to its end.

Before a provider is asked for anything the record says so. Who finds a job in that state and without an end knows that
a worker died meanwhile: the provider may have been paid, so nobody asks it again, and what became of it stays unknown.
A worker that died before that is followed by one that begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from gateway.model.errors import (
    AdmissionUnavailable,
    GatewayError,
    JobInterrupted,
    StorageUnavailable,
    TenantDisabled,
)
from gateway.model.http import HttpRequest, Sending
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import held_of, still_held
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_end import end_by, exchange_of, give_up, is_accounted_for
from gateway.pipeline.job_endpoints import ENDPOINTS
from gateway.pipeline.job_record import WORK_S, JobRecord, Overtaken
from gateway.pipeline.job_result import kept_result
from gateway.pipeline.video_look import Look
from gateway.ports import Incoming, Outbound, World

_UNKNOWN = "The job's worker was interrupted while a provider was asked. It is not asked again, for it may be paid."
_TOO_LATE = "The job did not come to its turn in time. No provider was asked."
_NOT_HELD = "Nothing is held for the job any more. No provider was asked."
_MOMENTARY = (StorageUnavailable, AdmissionUnavailable)


class JobPending(Exception):
    """It has not ended yet: the state machine looks again, more and more seldom. Its name is in `job.asl.json`."""


class JobBusy(Exception):
    """A worker is at it, or was until a moment ago: the state machine tries again. Its name is in `job.asl.json`."""


Unforeseen: TypeAlias = Callable[[Exception, Exchange], GatewayError]
"""What is made of a defect once a provider was asked, by whoever can tell of it."""


async def ask(job: Job, world: World, unforeseen: Unforeseen | None = None) -> Job:
    """The job with its end recorded, or as a provider has begun it. Raises JobBusy, StorageUnavailable and
    AdmissionUnavailable (503), and defects of which nothing is made: then the step is to be repeated.
    """
    if job.has_ended or job.is_begun:
        return job
    if job.alive_until_s > world.clock.now_s():
        raise JobBusy
    if job.is_asked:
        return await give_up(job, JobInterrupted(_UNKNOWN), world)
    if world.clock.now_s() >= job.expires_at_s:
        return await give_up(job, JobInterrupted(_TOO_LATE), world)
    exchange = await exchange_of(job, world)
    if exchange.ticket is not None and not await still_held(exchange.ticket, job.expires_at_s):
        return await give_up(job, JobInterrupted(_NOT_HELD), world)
    try:
        return await _carried_out(exchange, world, unforeseen)
    except Overtaken:
        raise JobBusy from None


async def look(job: Job, world: World, every_s: float) -> Job:
    """A job as it is now. Raises JobPending for one that has not ended, also when nobody can see that at the moment:
    what its provider makes goes on meanwhile.
    """
    if job.is_begun:
        try:
            job = await Look(world, every_s).at(job)
        except _MOMENTARY as error:
            world.records.trouble("video.not_looked_at", request_id=job.request_id, reason=error.message)
            raise JobPending from error
    elif not job.has_ended and world.clock.now_s() > (job.started_at_s or job.created_at_s) + WORK_S:
        job = await give_up(job, JobInterrupted(_UNKNOWN), world)
    if not job.has_ended:
        raise JobPending
    return job


async def close(job: Job, error: GatewayError, world: World) -> Job:
    """The end of a job whose execution comes to nothing more. Raises JobBusy while a worker is believed to be at it, or
    may still say what one has cost that was cancelled.
    """
    now_s = world.clock.now_s()
    if is_accounted_for(job, now_s) or (not job.has_ended and job.alive_until_s > now_s):
        raise JobBusy
    return await give_up(job, error, world)


async def _carried_out(exchange: Exchange, world: World, unforeseen: Unforeseen | None) -> Job:
    record, result = exchange.job, None
    assert record is not None  # noqa: S101 - it was made of one
    try:
        _check(exchange.principal)
        await record.change(status="running", started_at_s=int(world.clock.now_s()))
        async with record.beating():
            outcome = await _outcome(record, exchange, world)
            if isinstance(outcome, Job):
                return outcome
            result = await kept_result(outcome, exchange, world)
    except GatewayError as error:
        if isinstance(error, _MOMENTARY) and not record.now.is_asked:
            raise
        exchange.error = error
    except Overtaken:
        raise
    except Exception as defect:  # nobody may ask again, and what it has cost is known here alone
        if unforeseen is None or not record.now.is_asked:
            raise
        exchange.error = unforeseen(defect, exchange)
    return await end_by(exchange, result, world)


async def _outcome(record: JobRecord, exchange: Exchange, world: World) -> Any:
    """What the request's own capability makes of it."""
    job = record.now
    assert job.request is not None  # noqa: S101 - it is there as long as the job has not ended
    body = await world.payloads.get(job)
    inbound = Inbound("", job.request.content_type, body, accept="application/json", path=job.endpoint)
    saying = replace(world, outbound=SaidBefore(world.outbound, record, exchange, world))
    return await ENDPOINTS[job.endpoint].run(inbound, exchange, saying)


def _check(principal: Principal | None) -> None:
    """It was admitted; who was switched off since is asked for nothing more."""
    assert principal is not None  # noqa: S101 - a job is somebody's
    if principal.tenant.status != "active" or principal.user.status != "active":
        raise TenantDisabled("The tenant or the user was disabled before the job began.")


@dataclass(frozen=True, slots=True)
class SaidBefore:
    """The outbound world, which is asked for nothing before the job's record says so."""

    outbound: Outbound
    record: JobRecord
    exchange: Exchange
    world: World
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Incoming]:
        """Raises JobCancelled (409) for a job that was cancelled meanwhile, Overtaken."""
        async with self._lock:
            if not self.record.now.is_asked:
                await self.record.change(is_asked=True, held=held_of(self.exchange, self.world))
        async with self.outbound.open(request, sending) as incoming:
            yield incoming
