"""A batch's first step: its input is read and checked to the end, split into parts, and what it can cost is held."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.batch import BatchError, batch_of, with_batch
from gateway.model.errors import GatewayError, InvalidRequest, JobInterrupted, StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.batch_end import failed
from gateway.pipeline.batch_hold import held_for
from gateway.pipeline.batch_split import split_input
from gateway.pipeline.handed_over import still_held
from gateway.pipeline.job_causes import NOT_HELD
from gateway.pipeline.job_end import exchange_of
from gateway.pipeline.job_record import BUSY
from gateway.pipeline.job_work import MOMENTARY, check_order
from gateway.ports import World

LOOK_S = 600
"""After which a batch is looked after by the sweep, if its execution is gone."""


async def prepare(job: Job, world: World) -> Job:
    """The batch, ready to be carried out, or failed with all that is wrong with it; as it is where that was done before
    or it is to be cancelled. Raises StorageUnavailable and AdmissionUnavailable (503): it may be repeated.
    """
    if job.has_ended or job.status == "running" or batch_of(job).cancels:
        return job
    try:
        return await _prepared(job, world)
    except GatewayError as error:
        if isinstance(error, MOMENTARY):
            raise
        return await failed(job, error, [BatchError(code=error.code, message=error.message)], world)


async def _prepared(job: Job, world: World) -> Job:
    exchange = await exchange_of(job, world)
    principal, batch = exchange.principal, batch_of(job)
    assert principal is not None  # noqa: S101 - a job is somebody's
    await check_order(job, principal, world)
    if exchange.ticket is not None and not await still_held(exchange.ticket, job.expires_at_s):
        raise JobInterrupted(NOT_HELD)
    if batch.held_from_s is None:
        found = await split_input(job, batch, principal, world)
        if found.errors:
            param = "requests" if batch.input_file_id is None else "input_file_id"
            error = InvalidRequest("The input has errors. No line was asked.", param=param)
            return await failed(job, error, found.errors, world)
        from_s = int(world.clock.now_s())
        batch = replace(batch, groups=found.groups, lines=found.lines, held_from_s=from_s)
        job = await _changed(with_batch(job, batch), world)
    batch = replace(batch, held=await held_for(job, batch, principal, world))
    now_s = int(world.clock.now_s())
    batch = replace(batch, in_progress_at_s=now_s)
    return await _changed(with_batch(job, batch, status="running", started_at_s=now_s), world)


async def _changed(job: Job, world: World) -> Job:
    """Raises StorageUnavailable (503) where somebody else has changed it: then the step begins anew."""
    if not await world.jobs.change(job, int(world.clock.now_s()) + LOOK_S):
        raise StorageUnavailable(BUSY)
    return job
