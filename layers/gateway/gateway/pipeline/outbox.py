"""What the administration changed and did not come to tell, because its function died in between."""

from __future__ import annotations

from gateway.model.errors import StorageUnavailable
from gateway.record_ports import SweepWorld

AFTER_S = 60.0
"""Until then the function that made the change may still tell of it: it is ended after 30 seconds."""


async def tell_what_was_left(world: SweepWorld) -> None:
    """Told first and forgotten then, so that it is told at least once. Never raises: the next sweep goes on."""
    try:
        for event in await world.outbox.waiting(world.clock.now_s() - AFTER_S):
            await world.events.send([event])
            await world.outbox.told(event.id)
            world.records.trouble("sweep.told", id=event.id, tenant_id=event.tenant_id)
    except StorageUnavailable as error:
        world.records.trouble("sweep.failed", reason=error.message)
