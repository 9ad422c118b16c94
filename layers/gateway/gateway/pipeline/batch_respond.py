"""From a batch's record and its parts to the object that its tenant receives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from gateway.model.batch import Batch, BatchError, BatchPart, BatchStatus, BatchTotals, batch_of, status_of
from gateway.model.batch_view import (
    BatchInputDetails,
    BatchOutputDetails,
    BatchUsage,
    BatchView,
    ErrorList,
    LineCounts,
    RequestCounts,
)
from gateway.model.job import LONGEST_S, Job
from gateway.model.money import NANO_PER_USD
from gateway.pipeline.batch_hold import totals_of
from gateway.pipeline.job_respond import webhook_view
from gateway.ports import World

VIEWS_AT_ONCE = 8
_ERRORS = msgspec.json.Decoder(list[BatchError])


async def batch_view(job: Job, world: World) -> BatchView:
    """Raises StorageUnavailable (503)."""
    batch, errors = batch_of(job), None
    if batch.errors:
        stored = await world.batch_store.errors(job.tenant_id, job.id)
        errors = ErrorList(data=_ERRORS.decode(stored or b"[]"))
    if batch.totals is not None or not batch.groups:
        return _view(job, batch, (), errors)
    return _view(job, batch, await world.batch_parts.all(job.tenant_id, job.id), errors)


async def batch_views(jobs: Sequence[Job], world: World) -> list[BatchView]:
    """Some at a time: of each that runs all parts are read. Raises StorageUnavailable (503)."""
    slots = asyncio.Semaphore(VIEWS_AT_ONCE)

    async def view(job: Job) -> BatchView:
        async with slots:
            return await batch_view(job, world)

    return list(await asyncio.gather(*map(view, jobs)))


def _view(job: Job, batch: Batch, parts: Sequence[BatchPart], errors: ErrorList | None) -> BatchView:
    status = status_of(job, batch)
    totals = batch.totals or totals_of(parts)
    return BatchView(
        id=job.id,
        endpoint=batch.endpoint,
        errors=errors,
        input_file_id=batch.input_file_id,
        completion_window=batch.completion_window,
        status=status,
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        created_at=job.created_at_s,
        in_progress_at=batch.in_progress_at_s,
        expires_at=job.created_at_s + LONGEST_S,
        finalizing_at=batch.finalizing_at_s,
        completed_at=_when("completed", status, job),
        failed_at=_when("failed", status, job),
        expired_at=_when("expired", status, job),
        cancelling_at=batch.cancelling_at_s,
        cancelled_at=_when("cancelled", status, job),
        request_counts=RequestCounts(
            total=batch.lines, completed=totals.completed, failed=totals.failed + totals.cancelled
        ),
        metadata=batch.metadata,
        usage=_usage(totals) if totals.ended else None,
        counts=_counts(job, batch, parts, totals),
        models=sorted({group.model for group in batch.groups}),
        cost_estimate=_cost_usd(totals),
        processing=batch.processing,
        request_id=job.request_id,
        error=job.error if status == "failed" else None,
        webhook=None if job.webhook is None else webhook_view(job.webhook),
    )


def _when(wanted: BatchStatus, status: BatchStatus, job: Job) -> int | None:
    return job.finished_at_s if status == wanted else None


def _cost_usd(totals: BatchTotals) -> float | None:
    """Who is told takes it for all, so nothing where a price is unknown."""
    return totals.cost_nano_usd / NANO_PER_USD if totals.ended and not totals.unpriced else None


def _usage(totals: BatchTotals) -> BatchUsage:
    return BatchUsage(
        input_tokens=totals.input_tokens,
        input_tokens_details=BatchInputDetails(cached_tokens=totals.cached_tokens),
        output_tokens=totals.output_tokens,
        output_tokens_details=BatchOutputDetails(reasoning_tokens=totals.reasoning_tokens),
        total_tokens=totals.input_tokens + totals.output_tokens,
    )


def _counts(job: Job, batch: Batch, parts: Sequence[BatchPart], totals: BatchTotals) -> LineCounts:
    asked = sum(part.asked - len(part.again) - part.totals.ended for part in parts if not part.is_done)
    in_progress = max(0, asked)
    left = 0 if job.has_ended else batch.lines - totals.ended - in_progress
    return LineCounts(
        pending=left,
        in_progress=in_progress,
        completed=totals.completed,
        failed=totals.failed,
        cancelled=totals.cancelled,
    )
