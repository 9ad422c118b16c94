"""The outbound world of a job's worker: the job's record is asked before anything leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.model.http import HttpRequest, Sending
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import held_of
from gateway.pipeline.job_record import JobRecord
from gateway.ports import Incoming, Outbound, World


class SaidBefore(Struct, frozen=True):
    """Nobody is asked for anything before the record says so, nor once it says that the job has ended."""

    outbound: Outbound
    record: JobRecord
    exchange: Exchange
    world: World
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Incoming]:
        """Raises JobCancelled (409) for a job that was cancelled meanwhile, Overtaken, StorageUnavailable (503)."""
        async with self._lock:
            if self.record.now.is_asked:
                await self.record.check()
            else:
                await self.record.change(is_asked=True, held=held_of(self.exchange, self.world))
        async with self.outbound.open(request, sending) as incoming:
            yield incoming


def unguarded(world: World) -> World:
    """For what ends at a provider what was begun there: that is asked for also when the job has ended."""
    outbound = world.outbound
    return replace(world, outbound=outbound.outbound) if isinstance(outbound, SaidBefore) else world
