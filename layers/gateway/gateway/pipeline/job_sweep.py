"""Jobs that nobody carries on any more: started, ended or settled by whoever sweeps."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.errors import GatewayError, JobInterrupted, StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.job_end import due_of, give_up, is_accounted_for, settle
from gateway.ports import World

LATER_S = 300
SELDOM_S = 3_600
STARTS = 300
"""In one sweep. Step Functions' bucket for them holds 800 in a small region, which ordinary requests use as well:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
_ENDED = "The job's execution ended before the job did."


@dataclass(slots=True)
class SweptJobs:
    """How many were started, found running, ended, settled; `failed`: those that the next sweep has to see to."""

    started: int = 0
    running: int = 0
    ended: int = 0
    settled: int = 0
    failed: int = 0


async def sweep_jobs(world: World, *, at_most: int, until_s: float, starts: int = STARTS) -> SweptJobs:
    """Sees to at most so many, and begins none after `until_s` (Unix seconds). Of those that wait for their execution
    it starts so many: all at once would only be throttled further on. Raises StorageUnavailable (503).
    """
    swept = SweptJobs()
    seen = 0
    async for found in world.jobs.due(world.clock.now_s()):
        if seen >= at_most or world.clock.now_s() >= until_s:
            break
        if found.status == "pending" and swept.started >= starts:
            continue
        seen += 1
        outcome = await _seen_to_or_later(found, world)
        setattr(swept, outcome, getattr(swept, outcome) + 1)
    return swept


async def _seen_to_or_later(found: Job, world: World) -> str:
    """A defect over one job keeps nobody from the others."""
    try:
        job = await world.jobs.get(found.tenant_id, found.id)
        try:
            return await _seen_to(job, world)
        except StorageUnavailable:
            raise
        except Exception:
            await _more_seldom(job, world)
            raise
    except Exception as error:
        reason = error.message if isinstance(error, GatewayError) else type(error).__name__
        world.records.trouble("job.not_swept", job_id=found.id, request_id=found.request_id, reason=reason)
        return "failed"


async def _seen_to(job: Job, world: World) -> str:
    """Where an execution runs it sees to the job itself."""
    if is_accounted_for(job, world.clock.now_s()):
        return "running"
    if job.has_ended:
        settled = await settle(job, world)
        if settled.revision == job.revision:
            await _put_away(job, world)
        return "settled"
    if job.alive_until_s > world.clock.now_s() or await world.executions.is_running(job):
        await _later(job, world)
        return "running"
    if await world.executions.start(job):
        await _later(job, world)
        return "started"
    await settle(await give_up(job, JobInterrupted(_ENDED), world), world)
    return "ended"


async def _put_away(job: Job, world: World) -> None:
    """Of a settled job its reply, once that has been kept as long as promised; nobody need look again then."""
    now_s = world.clock.now_s()
    kept = job.changed(result=None) if job.is_gone(now_s) else job.changed()
    await world.jobs.change(kept, due_of(kept, now_s))


async def _more_seldom(job: Job, world: World) -> None:
    """Of what cannot be settled now, perhaps for ever: its tenant may be gone. The older it is the later."""
    now_s = world.clock.now_s()
    waited_s = now_s - (job.finished_at_s or job.created_at_s)
    await world.jobs.change(job.changed(), int(now_s + min(max(waited_s, 60), SELDOM_S)))


async def _later(job: Job, world: World) -> None:
    """Whoever changes the record meanwhile says himself when it is due."""
    await world.jobs.change(job.changed(), int(world.clock.now_s()) + LATER_S)
