"""A place among those that a provider's calls may take at the same time, where its owner has said how many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.model.errors import StorageUnavailable
from gateway.model.provider_errors import ProviderBusy
from gateway.model.slot import Slot
from gateway.pipeline.contact import Contact
from gateway.pipeline.through_circuit import refuse_if_open
from gateway.pipeline.watch import Watch
from gateway.ports import World

LATE_S = 10.0
"""After a call's own limit has ended it, its place has been given back: after that it is of one that died."""


@asynccontextmanager
async def placed(reached: Contact, watch: Watch) -> AsyncIterator[None]:
    """For what is asked within, one request at a time: the place that its credential needs, once the circuit is no
    obstacle. Raises CircuitOpen and ProviderBusy (503), ProviderTimeout (504).
    """
    refuse_if_open(reached, watch)
    if (most := reached.credential.max_concurrent) is None:
        yield
        return
    async with _slot_of(most, reached, watch):
        watch.attempt.places += 1
        try:
            yield
        finally:
            watch.attempt.places -= 1


@asynccontextmanager
async def _slot_of(most: int, reached: Contact, watch: Watch) -> AsyncIterator[None]:
    """For as long as the provider is asked. Given back when nobody waits for it any more, whatever became of taking it:
    what was not answered, or not waited for, may have been done.

    Raises ProviderBusy (503) where none is free. Where nobody can count them the call goes on: they protect a
    provider, not money.
    """
    world, slot = watch.world, Slot(reached.name)
    taking = asyncio.create_task(world.slots.take(slot, most, _until_s(watch)))
    try:
        try:
            is_taken = await watch.within(asyncio.shield(taking))
        except StorageUnavailable as error:
            world.records.trouble("slots.unavailable", provider=slot.name, reason=error.message)
            is_taken = True
        if not is_taken:
            raise ProviderBusy(f"All {most} calls that {reached.route.provider.name} may be asked at a time are taken.")
        yield
    finally:
        watch.attempt.leaving.append(asyncio.create_task(_given_back(slot, taking, world)))


def _until_s(watch: Watch) -> int:
    """Unix seconds. A stream's limit is another once it has begun."""
    clock, by_s = watch.world.clock, watch.deadline_s if watch.phase == "total" else watch.ends_s
    return int(clock.now_s() + by_s - clock.monotonic_s() + LATE_S)


async def _given_back(slot: Slot, taking: asyncio.Task[bool], world: World) -> None:
    """Not before it is taken: the one write would come to nothing, and then the other one would stand."""
    with suppress(StorageUnavailable):
        if not await taking:
            return
    try:
        await world.slots.give_back(slot)
    except StorageUnavailable as error:
        world.records.trouble("slots.unavailable", provider=slot.name, reason=error.message)
