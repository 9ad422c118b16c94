"""How a provider gets on with a shipment: looked at again and again, and stopped where the batch is to end."""

from __future__ import annotations

from gateway.model.job import Job
from gateway.model.provider_errors import ProviderFailure, ProviderGone
from gateway.model.shipment import Shipment
from gateway.pipeline.batch_line import Closing
from gateway.pipeline.batch_line_native import Native
from gateway.pipeline.batch_part import closing_now, lines_of
from gateway.pipeline.batch_record import BatchRecord
from gateway.pipeline.batch_remote import reached, said, state_at
from gateway.pipeline.job_record import JobBusy, Overtaken
from gateway.pipeline.job_work import JobPending
from gateway.ports import World

GRACE_S = 3_600
"""After the batch's time, for a provider to stop and to tell what it has: what it has not told by then is lost."""


async def look(job: Job, group: int, number: int, world: World, *, closing: Closing | None = None) -> None:
    """It is over then. `closing`: why its provider is to stop.

    Raises JobPending where it is not, or where nobody can tell; JobBusy while a worker is believed to be at it;
    StorageUnavailable and AdmissionUnavailable (503).
    """
    shipment = await world.shipments.find(job.tenant_id, job.id, group, number)
    if shipment is None or shipment.is_collected or shipment.remote_id is None or is_lost(job, world):
        return
    if shipment.alive_until_s > world.clock.now_s():
        raise JobBusy
    closing = closing or await closing_now(job, world)
    try:
        native = await reached(shipment, await lines_of(job, group, world), world)
        if closing is not None and not shipment.cancels:
            await _stop(shipment, shipment.remote_id, native, world)
        state = await state_at(shipment.remote_id, native, world)
    except ProviderGone:
        return
    except ProviderFailure as error:
        world.records.trouble("batch.not_looked_at", job_id=job.id, reason=error.message)
        raise JobPending from error
    if not state.is_over:
        raise JobPending


def is_lost(job: Job, world: World) -> bool:
    return world.clock.now_s() >= job.expires_at_s + GRACE_S


async def _stop(shipment: Shipment, remote_id: str, native: Native, world: World) -> None:
    """One that is over by now refuses that, so what it is has to be seen in any case: what could not be said is said
    again at the next look. Raises JobBusy, StorageUnavailable (503).
    """
    try:
        await said(native.wire.cancel(remote_id, native.target), native, world)
    except ProviderFailure as error:
        world.records.trouble("batch.not_cancelled", job_id=shipment.batch_id, reason=error.message)
        return
    try:
        await BatchRecord(shipment, world.shipments, world.clock).change(cancels=True, alive_until_s=0)
    except Overtaken:
        raise JobBusy from None
