"""Jobs that nobody carries on any more: started, ended or settled by whoever sweeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from gateway.job_ports import DueJob
from gateway.model.batch import KIND
from gateway.model.errors import AdmissionUnavailable, GatewayError, JobInterrupted
from gateway.model.job import ENDED, Job
from gateway.pipeline.handed_over import held_of, is_held_for_long, still_held
from gateway.pipeline.job_causes import EXECUTION_ENDED, TOO_LATE
from gateway.pipeline.job_end import due_of, exchange_of, give_up, has_reply, settle
from gateway.pipeline.job_record import JobBusy
from gateway.pipeline.job_reply import without_reply
from gateway.pipeline.job_tell import tell, to_do
from gateway.ports import World

LATER_S = 300
SELDOM_S = 3_600
STARTS = 300
"""In one sweep. Step Functions' bucket for them holds 800 in a small region, which ordinary requests use as well:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
TELLS = 30
"""In one sweep: a receiver may take its time, and the others wait. Usually a job's execution tells its end."""
MISSES = 10
"""Starts in one sweep that come to nothing, after which it tries no more: the bucket is empty, and others want to be
seen to."""
Ours: TypeAlias = Callable[[DueJob], bool]
"""Which of those that are due a sweep sees to."""
Told: TypeAlias = Callable[[Exception, str], None]
"""What becomes of a defect, with the id of the job that has it."""


class SeeTo(Protocol):
    """What is done with a job that is due: the name of the outcome, as in SweptJobs. `tells`: whether there is room to
    tell its end.
    """

    def __call__(self, job: Job, world: World, *, tells: bool) -> Awaitable[str]: ...


class SweptJobs(Struct):
    """How many were started, found running, ended, settled, told, left to the next to be told; `failed`: those that the
    next sweep has to see to.

    `oldest_pending_s`: how long that one of them has waited that has waited longest for its worker.
    """

    started: int = 0
    running: int = 0
    ended: int = 0
    settled: int = 0
    told: int = 0
    untold: int = 0
    failed: int = 0
    oldest_pending_s: float = 0.0


async def sweep_jobs(
    world: World,
    *,
    at_most: int,
    until_s: float,
    starts: int = STARTS,
    told: Told | None = None,
    is_ours: Ours | None = None,
    see_to: SeeTo | None = None,
) -> SweptJobs:
    """Sees to at most so many, and begins none after `until_s` (Unix seconds). Of those that wait for their execution
    it starts so many, the oldest first: all at once would only be throttled further on. A job with a defect stands in
    no other's way.

    Raises StorageUnavailable (503).
    """
    swept = SweptJobs()
    seen = missed = 0
    async for found in world.jobs.due(world.clock.now_s()):
        if seen >= at_most or world.clock.now_s() >= until_s:
            break
        if not (is_ours or _is_ours)(found):
            continue
        is_waiting = found.status == "pending"
        if is_waiting and (swept.started >= starts or missed >= MISSES):
            continue
        seen += 1
        outcome = await _seen_to_or_later(found, swept, world, see_to or _seen_to, told)
        setattr(swept, outcome, getattr(swept, outcome) + 1)
        missed += is_waiting and outcome == "failed"
    return swept


def _is_ours(found: DueJob) -> bool:
    """Of a batch its end, which is settled and told as any job's: before that it has a sweep of its own."""
    return not found.id.startswith(f"{KIND}_") or found.status in ENDED


async def _seen_to_or_later(found: DueJob, swept: SweptJobs, world: World, see_to: SeeTo, told: Told | None) -> str:
    job: Job | None = None
    try:
        job = await world.jobs.get(found.tenant_id, found.id)
        if job.status == "pending" and not job.is_asked:  # else it waits in its provider's queue
            swept.oldest_pending_s = max(swept.oldest_pending_s, world.clock.now_s() - job.created_at_s)
        return await see_to(job, world, tells=swept.told < TELLS)
    except GatewayError as error:
        reason, is_lasting = error.message, isinstance(error, AdmissionUnavailable)
    except Exception as defect:  # of this job alone, and it would be the first of every sweep
        if told is not None:
            told(defect, found.id)
        reason, is_lasting = type(defect).__name__, True
    world.records.trouble("job.not_swept", job_id=found.id, reason=reason)
    if job is not None and is_lasting:
        with suppress(GatewayError):
            await _more_seldom(job, world)
    return "failed"


async def _seen_to(job: Job, world: World, *, tells: bool) -> str:
    """Where an execution runs it sees to the job itself, but for one that waits in vain to be asked for."""
    if job.has_ended:
        return await end_seen_to(job, world, tells=tells)
    now_s = world.clock.now_s()
    if job.alive_until_s > now_s:
        await later(job, world)
        return "running"
    if not job.is_asked and now_s >= job.expires_at_s:
        return await _ended(job, TOO_LATE, world)
    if await world.executions.is_running(job):
        await later(job, world)
        return "running"
    if await world.executions.start(job):
        await later(job, world)
        return "started"
    return await _ended(job, EXECUTION_ENDED, world)


async def end_seen_to(job: Job, world: World, *, tells: bool) -> str:
    """Its reply goes in its time, whoever has yet to be told."""
    try:
        seen = await settle(job, world)
    except JobBusy:
        await later(job, world)
        return "running"
    now_s = world.clock.now_s()
    if _is_over(seen, now_s):
        seen = await _put_away(seen, world)
    if to_do(seen, now_s)[0] == "tell":
        return await _told(seen, world) if tells else "untold"
    if seen.revision == job.revision:
        await _put_away(seen, world)
    return "settled"


async def _ended(job: Job, cause: str, world: World) -> str:
    await settle(await give_up(job, JobInterrupted(cause), world), world)
    return "ended"


async def _told(job: Job, world: World) -> str:
    if await world.executions.is_running(job):
        await later(job, world)
        return "running"
    await tell(job, world)
    return "told"


async def _put_away(job: Job, world: World) -> Job:
    """Of a settled job its reply, once that has been kept as long as promised; nobody need look for that again then."""
    now_s = world.clock.now_s()
    kept = await without_reply(job, world) if _is_over(job, now_s) else job.changed()
    if await world.jobs.change(kept, due_of(kept, now_s)):
        return kept
    return await world.jobs.get(job.tenant_id, job.id)


def _is_over(job: Job, now_s: float) -> bool:
    return has_reply(job) and job.is_gone(now_s)


async def _more_seldom(job: Job, world: World) -> None:
    """Of what cannot be settled now, perhaps for ever: its tenant may be gone. The older it is the later."""
    now_s = world.clock.now_s()
    waited_s = now_s - (job.finished_at_s or job.created_at_s)
    await world.jobs.change(job.changed(), int(now_s + min(max(waited_s, 60), SELDOM_S)))


async def later(job: Job, world: World) -> None:
    """Whoever changes the record meanwhile says himself when it is due."""
    held = await _held_for_long(job, world) if job.status == "pending" else job.held
    await world.jobs.change(job.changed(held=held), int(world.clock.now_s()) + LATER_S)


async def _held_for_long(job: Job, world: World) -> dict[str, Any] | None:
    """Of a job that waits for its turn, if whoever accepted it could not see to that. Raises AdmissionUnavailable."""
    if job.held is None or is_held_for_long(job.held, job.expires_at_s):
        return job.held
    exchange = await exchange_of(job, world)
    if exchange.ticket is None or not await still_held(exchange.ticket, job.expires_at_s):
        return job.held
    return held_of(exchange, world)
