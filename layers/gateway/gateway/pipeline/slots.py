"""A place among those that a provider's calls may take at the same time, where its owner has said how many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.model.call import MAX_STREAM_MS
from gateway.model.errors import StorageUnavailable
from gateway.model.provider_errors import ProviderBusy
from gateway.model.slot import Slot
from gateway.pipeline.contact import Contact
from gateway.pipeline.watch import Watch
from gateway.ports import World

LATE_S = 10.0
"""After a call's own limit has ended it, its place has been given back: after that it is of one that died."""


@asynccontextmanager
async def slot_of(most: int, reached: Contact, watch: Watch) -> AsyncIterator[None]:
    """For as long as the provider is asked. Given back when nobody waits for it any more.

    Raises ProviderBusy (503) where none is free. Where nobody can count them the call goes on: they protect a
    provider, not money.
    """
    world, name = watch.world, reached.name
    try:
        slot = await watch.within(world.slots.take(name, most, _until_s(watch)))
    except StorageUnavailable as error:
        world.records.trouble("slots.unavailable", provider=name, reason=error.message)
        yield
        return
    if slot is None:
        raise ProviderBusy(f"All {most} calls that {reached.route.provider.name} may be asked at a time are taken.")
    try:
        yield
    finally:
        watch.attempt.leaving.append(asyncio.create_task(_given_back(slot, name, world)))


def _until_s(watch: Watch) -> int:
    """Unix seconds. A stream's limit is another once it has begun."""
    left_s = watch.deadline_s - watch.world.clock.monotonic_s() if watch.phase == "total" else MAX_STREAM_MS / 1000
    return int(watch.world.clock.now_s() + left_s + LATE_S)


async def _given_back(slot: Slot, name: str, world: World) -> None:
    try:
        await world.slots.give_back(slot)
    except StorageUnavailable as error:
        world.records.trouble("slots.unavailable", provider=name, reason=error.message)
