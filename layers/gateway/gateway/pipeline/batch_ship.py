"""What was packed of a native group, made up into shipments: as much in each as its provider takes in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.model.job import Job
from gateway.model.shipment import Crate, Shipment, label_of
from gateway.pipeline.batch_line_native import wire_of
from gateway.pipeline.batch_part import ends_at_s, lines_of
from gateway.ports import World
from gateway.providers.contract import BatchWire, Filling


async def make_up(job: Job, group: int, world: World) -> list[int]:
    """The numbers of the group's shipments. Whoever comes later goes on with what is in none yet.

    Raises CapabilityNotSupported (400) where its provider has no such batches any more, StorageUnavailable and
    AdmissionUnavailable (503).
    """
    parts = [part for part in await world.batch_parts.all(job.tenant_id, job.id) if part.group == group]
    crates = sorted((crate for part in parts for crate in part.crates), key=lambda crate: crate.place)
    while True:
        made = await shipments_of(job, group, world)
        shipped = {crate.place for shipment in made for crate in shipment.crates}
        left = [crate for crate in crates if crate.place not in shipped]
        if not left:
            return [shipment.number for shipment in made]
        wire, number = wire_of(await lines_of(job, group, world), world), len(made)
        shipment = Shipment(
            tenant_id=job.tenant_id,
            batch_id=job.id,
            group=group,
            number=number,
            label=label_of(job.id, group, number),
            own_key=left[0].own_key,
            crates=_filled(left, wire),
            ends_at_s=ends_at_s(job),
        )
        await world.shipments.change(shipment.changed())  # if not, somebody else's is there


async def shipments_of(job: Job, group: int, world: World) -> list[Shipment]:
    """Raises StorageUnavailable (503)."""
    return [one for one in await world.shipments.all(job.tenant_id, job.id) if one.group == group]


def _filled(crates: Sequence[Crate], wire: BatchWire[Any, Any]) -> tuple[Crate, ...]:
    """As many as one batch takes, all for the same key. Each alone was packed so that it does."""
    filling, taken = Filling(wire.limits, wire.frame), list(crates[:1])
    filling.takes_joined(crates[0].size_bytes, crates[0].items, crates[0].inputs)
    for crate in crates[1:]:
        if crate.own_key != crates[0].own_key or not filling.takes_joined(crate.size_bytes, crate.items, crate.inputs):
            break
        taken.append(crate)
    return tuple(taken)
