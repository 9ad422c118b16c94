"""A part of a batch as whoever works at it takes it up: its lines, what they have in common, and why none is asked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from gateway.model.batch import Batch, BatchPart, PartLine, batch_of, part_lines, part_name
from gateway.model.errors import AdmissionUnavailable, StorageUnavailable
from gateway.model.job import TOMBSTONE_S, Job
from gateway.model.tenant import Principal
from gateway.pipeline.admit import Ticket, give_back
from gateway.pipeline.batch_check import of_lines
from gateway.pipeline.batch_hold import book_ahead
from gateway.pipeline.batch_line import CANCELLED, DISABLED, EXPIRED, Closing, Lines
from gateway.pipeline.batch_record import BatchRecord
from gateway.pipeline.job_end import principal_of
from gateway.ports import World

KEPT_S = 31 * 24 * 3600 + TOMBSTONE_S
"""How long the record of a part or a shipment is of use, from the batch's end in time."""


class OpenPart(Struct, frozen=True):
    """`record`: not claimed yet. `closing`: why none of its lines is asked any more."""

    of: Lines
    lines: Sequence[PartLine]
    record: BatchRecord[BatchPart]
    closing: Closing | None


async def opened(job: Job, group: int, number: int, found: BatchPart | None, world: World) -> OpenPart:
    """`found`: its record, None where nobody has begun it. Raises StorageUnavailable and AdmissionUnavailable (503)."""
    of = await lines_of(job, group, world)
    lines = part_lines(await world.batch_store.lines(job.tenant_id, job.id, part_name(group, number)))
    part = found or BatchPart(
        tenant_id=job.tenant_id,
        batch_id=job.id,
        group=group,
        number=number,
        lines=len(lines),
        ends_at_s=ends_at_s(job),
    )
    return OpenPart(of, lines, BatchRecord(part, world.batch_parts, world.clock), disabled(of.principal))


async def lines_of(job: Job, group: int, world: World) -> Lines:
    """Of all parts of a group. Raises AdmissionUnavailable (503)."""
    return Lines(job, batch_of(job).groups[group], of_lines(await principal_of(job, world)))


def disabled(principal: Principal) -> Closing | None:
    return None if principal.tenant.status == principal.user.status == "active" else DISABLED


def ends_at_s(job: Job) -> int:
    return job.expires_at_s + KEPT_S


def closing_of(job: Job, batch: Batch, now_s: float) -> Closing | None:
    if batch.cancels:
        return CANCELLED
    return EXPIRED if now_s >= job.expires_at_s else None


async def closing_now(job: Job, world: World) -> Closing | None:
    """By the batch's record and its tenant's as they are now; what cannot be read is as it was."""
    now_s = world.clock.now_s()
    with suppress(StorageUnavailable, AdmissionUnavailable):
        job = await world.jobs.get(job.tenant_id, job.id)
        if closing := disabled(await principal_of(job, world)):
            return closing
    return CANCELLED if job.has_ended else closing_of(job, batch_of(job), now_s)


async def end_part(part: BatchPart, of: Lines, besides: Sequence[Ticket], world: World) -> None:
    """Of a part that is done: what it has cost is booked, what was held for it besides is free, its lines are gone."""
    await book(of, besides, world)
    await drop_lines(part, world)


async def drop_lines(part: BatchPart, world: World) -> None:
    """What cannot be dropped the bucket's lifecycle removes."""
    with suppress(StorageUnavailable):
        await world.batch_store.drop_lines(part.tenant_id, part.batch_id, part.name)


async def book(of: Lines, besides: Sequence[Ticket], world: World) -> None:
    """What cannot be booked now is with the parts that follow, or at the batch's end."""
    try:
        await book_ahead(of.job, batch_of(of.job), of.principal, world)
    except (AdmissionUnavailable, StorageUnavailable) as error:
        world.records.trouble("batch.not_booked", job_id=of.job.id, reason=error.message)
    for ticket in besides:
        await give_back(ticket)
