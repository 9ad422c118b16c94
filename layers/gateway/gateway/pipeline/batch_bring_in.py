"""The end of a native group whose execution comes to nothing more: what its provider still has is stopped and collected
by a worker that knows its key, and lines that nobody has are closed.
"""

from __future__ import annotations

from gateway.model.batch import BatchPart, batch_of
from gateway.model.errors import JobInterrupted
from gateway.model.job import Job
from gateway.model.shipment import Shipment
from gateway.pipeline.batch_collect import collect
from gateway.pipeline.batch_line import INTERRUPTED, Closing
from gateway.pipeline.batch_look import GRACE_S, look
from gateway.pipeline.batch_part import closing_of, end_part, lines_of, opened
from gateway.pipeline.batch_part_results import PartResults
from gateway.pipeline.batch_record import BatchRecord
from gateway.pipeline.batch_ship import shipments_of
from gateway.pipeline.batch_shipped import ShippedLines
from gateway.pipeline.batch_submit import submit
from gateway.pipeline.job_causes import LOST
from gateway.pipeline.job_end import Unforeseen
from gateway.pipeline.job_record import JobBusy, Overtaken
from gateway.pipeline.job_work import JobPending
from gateway.ports import World

LAST_S = GRACE_S + 900
"""After the batch's time, when nobody waits any more for those who know the providers' keys."""


async def bring_in(job: Job, world: World, unforeseen: Unforeseen | None = None) -> int:
    """How many shipments are left: their providers have not stopped yet, or cannot be asked. Raises StorageUnavailable
    and AdmissionUnavailable (503).
    """
    if job.has_ended:
        return 0
    closing = closing_of(job, batch_of(job), world.clock.now_s()) or INTERRUPTED
    waiting = [one for one in await world.shipments.all(job.tenant_id, job.id) if not one.is_collected]
    return sum([not await _is_in(job, one, world, unforeseen, closing) for one in waiting])


async def _is_in(job: Job, shipment: Shipment, world: World, unforeseen: Unforeseen | None, closing: Closing) -> bool:
    group, number = shipment.group, shipment.number
    try:
        await submit(job, group, number, world, unforeseen, closing=closing)
        await look(job, group, number, world, closing=closing)
        return await collect(job, group, number, world, unforeseen, closing=closing)
    except (JobBusy, JobPending):
        return False


async def closed(job: Job, group: int, world: World) -> list[BatchPart]:
    """All parts of the group, done. Raises JobBusy while a worker may be at one, or a provider; StorageUnavailable and
    AdmissionUnavailable (503).
    """
    closing = closing_of(job, batch_of(job), world.clock.now_s()) or INTERRUPTED
    waiting = [one for one in await shipments_of(job, group, world) if not one.is_collected]
    if waiting and world.clock.now_s() < job.expires_at_s + LAST_S:
        await world.batch_workers.bring_in(job)
        raise JobBusy
    for shipment in waiting:
        await _given_up(job, shipment, closing, world)
    known = {one.number: one for one in await world.batch_parts.all(job.tenant_id, job.id) if one.group == group}
    numbers = range(batch_of(job).groups[group].parts)
    return [await _closed(job, group, number, known.get(number), closing, world) for number in numbers]


async def _given_up(job: Job, shipment: Shipment, closing: Closing, world: World) -> None:
    if shipment.alive_until_s > world.clock.now_s():
        raise JobBusy
    of = await lines_of(job, shipment.group, world)
    await ShippedLines(shipment, of, world, None).end_all(JobInterrupted(LOST) if shipment.is_asked else closing)
    try:
        await BatchRecord(shipment, world.shipments, world.clock).change(is_collected=True, alive_until_s=0)
    except Overtaken:
        raise JobBusy from None


async def _closed(
    job: Job, group: int, number: int, found: BatchPart | None, closing: Closing, world: World
) -> BatchPart:
    """Of its lines those were never asked that have no result."""
    if found is not None and found.is_done:
        return found
    if found is not None and found.alive_until_s > world.clock.now_s():
        raise JobBusy
    part = await opened(job, group, number, found, world)
    results = await PartResults.of(part.record.now, world)
    left = [at for at in range(len(part.lines)) if at not in results.known]
    await results.add([closing.of(at, part.lines[at], part.of) for at in left])
    await end_part(results.now, part.of, (), world)
    return results.now
