"""The end of a batch, however it comes: its parts are closed, its holds settled, its results merged, and it is told.

Every step may be repeated, so it does not matter where whoever ends it dies. What is told of the batch itself, and its
place among its tenant's jobs, are seen to after that as for any job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.model.batch import FACT, KEPT_S, Batch, BatchError, BatchPart, batch_of, with_batch
from gateway.model.errors import GatewayError, JobCancelled, JobInterrupted, StorageUnavailable
from gateway.model.job import Job, Status
from gateway.pipeline.batch_bring_in import closed
from gateway.pipeline.batch_hold import settle_lines, totals_of
from gateway.pipeline.batch_line import INTERRUPTED
from gateway.pipeline.batch_part import closing_of
from gateway.pipeline.batch_results import ERRORS, OUTPUT, merged
from gateway.pipeline.batch_work import carry_out
from gateway.pipeline.job_causes import TOO_LATE
from gateway.pipeline.job_end import FINISHING_S, exchange_of, owed_of, principal_of
from gateway.pipeline.job_record import BUSY
from gateway.pipeline.request_line import line_of
from gateway.ports import World

LOOK_S = 600


async def failed(job: Job, error: GatewayError, errors: Sequence[BatchError], world: World) -> Job:
    """A batch of which nothing was asked. Raises StorageUnavailable and AdmissionUnavailable (503)."""
    await world.batch_store.put_errors(job.tenant_id, job.id, msgspec.json.encode(errors))
    return await _ended(job, replace(batch_of(job), errors=len(errors)), "failed", error, world)


async def finish(job: Job, world: World, cause: str | None = None) -> Job:
    """Ended, with all its lines. `cause`: why its execution comes to nothing more, None of one that has done all.

    Raises JobBusy while a worker is believed to be at a part, StorageUnavailable and AdmissionUnavailable (503).
    """
    if job.has_ended:
        return job
    batch, principal = batch_of(job), await principal_of(job, world)
    if job.status != "running":
        await settle_lines(job, batch, (), principal, world)
        if batch.cancels:
            return await _ended(job, batch, "cancelled", JobCancelled("The batch was cancelled."), world)
        error = JobInterrupted(cause or TOO_LATE)
        return await failed(job, error, [BatchError(code=error.code, message=error.message)], world)
    parts = await _closed(job, batch, world)
    if batch.finalizing_at_s is None:
        batch = replace(batch, finalizing_at_s=int(world.clock.now_s()))
        job = with_batch(job, batch)
        if not await world.jobs.change(job, int(world.clock.now_s()) + LOOK_S):
            raise StorageUnavailable(BUSY)
    await settle_lines(job, batch, parts, principal, world)
    totals = totals_of(parts)
    batch = replace(
        batch,
        totals=totals,
        is_expired=totals.expired > 0,
        output_file_id=await merged(job, batch, parts, OUTPUT, world),
        error_file_id=await merged(job, batch, parts, ERRORS, world),
    )
    return await _ended(job, batch, *_outcome(batch, cause), world)


def _outcome(batch: Batch, cause: str | None) -> tuple[Status, GatewayError | None]:
    """One of which a line was answered is completed, whatever became of the others."""
    totals = batch.totals
    assert totals is not None  # noqa: S101 - it was carried out
    if totals.cancelled:
        return "cancelled", JobCancelled("The batch was cancelled before all its lines were asked.")
    if batch.is_expired:
        return "failed", JobInterrupted("The batch's time was over before all its lines were asked.")
    if cause is not None and not totals.completed:
        return "failed", JobInterrupted(cause)
    return "completed", None


async def _closed(job: Job, batch: Batch, world: World) -> list[BatchPart]:
    """All its parts, done. Raises JobBusy."""
    known = {(part.group, part.number): part for part in await world.batch_parts.all(job.tenant_id, job.id)}
    closing = closing_of(job, batch, world.clock.now_s()) or INTERRUPTED
    parts: list[BatchPart] = []
    for number, group in enumerate(batch.groups):
        if group.way == "native":
            parts += await closed(job, number, world)
            continue
        for of_group in range(group.parts):
            part = known.get((number, of_group))
            if part is None or not part.is_done:
                part = await carry_out(job, number, of_group, world, closing=closing)
            parts.append(part)
    return parts


async def _ended(job: Job, batch: Batch, status: Status, error: GatewayError | None, world: World) -> Job:
    exchange = await exchange_of(job, world)
    exchange.asks_model = False
    exchange.error, exchange.ended_s = error, world.clock.monotonic_s()
    totals, now_s = batch.totals, world.clock.now_s()
    found: dict[str, Any] = {
        "facts": {**job.facts, FACT: msgspec.to_builtins(batch)},
        "request": None,
        "error": None if error is None else error.wire(job.request_id)["error"],
        "owed": owed_of(exchange, world),
        "cost_nano_usd": 0 if totals is None else totals.cost_nano_usd,
    }
    ended = job.ended(status, now_s, KEPT_S, **found)
    if not await world.jobs.change(ended, int(now_s) + FINISHING_S):
        raise StorageUnavailable(BUSY)
    world.records.write(line_of(exchange, exchange.ended_s))
    return ended
