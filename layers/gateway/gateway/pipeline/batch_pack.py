"""The lines of one part of a native group, packed for their provider: each as far as it would be asked, then in crates.

A crate is in the part's record once it is stored; a worker that follows one that died packs again what is in none.
Nothing is paid for yet, so it does not matter how often that is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from gateway.model.batch import BatchPart, LineEnd
from gateway.model.errors import CapabilityNotSupported, GatewayError, PayloadTooLarge
from gateway.model.job import Job
from gateway.model.provider_errors import ProviderError
from gateway.model.shipment import Crate, item_id_of
from gateway.pipeline.admit import Ticket, give_back
from gateway.pipeline.batch_line import CarriedOut
from gateway.pipeline.batch_line_native import (
    PAUSES_S,
    Native,
    Ready,
    given_line,
    native_of,
    ready_line,
    refused_line,
)
from gateway.pipeline.batch_part import OpenPart, closing_now, end_part, opened
from gateway.pipeline.batch_part_results import PartResults
from gateway.pipeline.batch_work import START_S
from gateway.pipeline.job_end import Unforeseen
from gateway.pipeline.job_record import JobBusy
from gateway.ports import World
from gateway.providers.contract import Filling

AT_ONCE = 4
"""Lines that are made ready at a time, with their media."""
CRATE_BYTES = 8 * 1024 * 1024
"""After which a crate takes no further item. One alone may be larger."""


async def pack(job: Job, group: int, number: int, world: World, unforeseen: Unforeseen | None = None) -> BatchPart:
    """The part, packed or as far as there was time.

    Raises JobBusy while another worker is believed to be at it, StorageUnavailable and AdmissionUnavailable (503).
    """
    found = await world.batch_parts.find(job.tenant_id, job.id, group, number)
    if found is not None and (found.is_packed or found.is_done):
        return found
    if found is not None and found.alive_until_s > world.clock.now_s():
        raise JobBusy
    part = await opened(job, group, number, found, world)
    async with part.record.claimed():
        results = await PartResults.of(part.record.now, world)
        try:
            native = await _native(part, world)
        except (ProviderError, CapabilityNotSupported) as error:
            await _end_unreached(part, results, error, world)
        else:
            await _Packing(part, native, results, world, unforeseen).run()
    return part.record.now


async def _native(part: OpenPart, world: World) -> Native:
    """Raises ProviderError (502) where nobody knows how its provider is reached, CapabilityNotSupported (400)."""
    for pause_s in PAUSES_S:
        with suppress(ProviderError):
            return await native_of(part.of, world)
        await world.clock.sleep(pause_s)
    return await native_of(part.of, world)


async def _end_unreached(part: OpenPart, results: PartResults, error: GatewayError, world: World) -> None:
    """Lines of which nothing can be packed, as their requests would end; what was packed before goes its way."""
    crates = part.record.now.crates
    packed = crates[-1].end if crates else 0
    left = [at for at in range(packed, len(part.lines)) if at not in results.known]
    carried = [await refused_line(error, at, part.lines[at], part.of, world) for at in left]
    await part.record.change()
    await results.add([one.end for one in carried])
    await part.record.change(is_packed=True, alive_until_s=0)
    if results.now.is_done:
        await end_part(results.now, part.of, (), world)


def unpacked(kept: bytes) -> dict[int, bytes]:
    """What is kept of each item of a crate, by its line's place."""
    return msgspec.msgpack.decode(kept, type=dict[int, bytes])


class _Open(msgspec.Struct):
    """A crate that is being filled."""

    filling: Filling
    pieces: list[bytes] = msgspec.field(default_factory=list)
    kept: dict[int, bytes] = msgspec.field(default_factory=dict)
    inputs: int = 0

    def takes(self, ready: Ready) -> bool:
        if self.pieces and self.filling.pieces_bytes + len(ready.piece) > CRATE_BYTES:
            return False
        return self.filling.takes(ready.piece, ready.inputs)

    def put(self, at: int, ready: Ready) -> None:
        self.pieces.append(ready.piece)
        self.kept[at] = ready.kept
        self.inputs += ready.inputs


class _Packing:
    """`part`: its record is claimed by this worker."""

    def __init__(
        self, part: OpenPart, native: Native, results: PartResults, world: World, unforeseen: Unforeseen | None
    ) -> None:
        self._part, self._native, self._results = part, native, results
        self._world, self._unforeseen = world, unforeseen
        self._until_s = world.clock.monotonic_s() + START_S
        self._ended: list[LineEnd] = []
        self._besides: list[Ticket] = []
        self._open = self._empty()

    async def run(self) -> None:
        record, closing = self._part.record, self._part.closing
        packed = record.now.crates[-1].end if record.now.crates else 0
        ahead = [at for at in range(packed, len(self._part.lines)) if at not in self._results.known]
        closing = closing or await closing_now(self._part.of.job, self._world)
        while ahead and closing is None and self._world.clock.monotonic_s() < self._until_s:
            now, ahead = ahead[:AT_ONCE], ahead[AT_ONCE:]
            for at, ready in zip(now, await self._ready(now), strict=True):
                await self._take(at, ready)
            closing = await closing_now(self._part.of.job, self._world)
        await self._close(ahead[0] if ahead else len(self._part.lines))
        if ahead and closing is None:
            await record.change(alive_until_s=0)  # another goes on
            return
        if closing is not None:
            await self._write([closing.of(at, self._part.lines[at], self._part.of) for at in ahead])
        await record.change(is_packed=True, alive_until_s=0)
        if self._results.now.is_done:
            await end_part(self._results.now, self._part.of, (), self._world)

    async def _ready(self, places: Sequence[int]) -> list[Ready | CarriedOut]:
        part, native, number = self._part, self._native, self._part.record.now.number
        makings = (
            ready_line(
                item_id_of(number, at), at, part.lines[at], part.of, native, self._world, unforeseen=self._unforeseen
            )
            for at in places
        )
        return await asyncio.gather(*makings)

    async def _take(self, at: int, ready: Ready | CarriedOut) -> None:
        if isinstance(ready, CarriedOut):
            self._end(ready)
        elif self._open.takes(ready):
            self._open.put(at, ready)
        elif not self._empty().takes(ready):
            self._end(await self._too_large(at, ready))
        else:
            await self._close(at)
            self._open.takes(ready)
            self._open.put(at, ready)

    def _end(self, carried: CarriedOut) -> None:
        self._ended.append(carried.end)
        if carried.besides is not None:
            self._besides.append(carried.besides)

    async def _too_large(self, at: int, ready: Ready) -> CarriedOut:
        error = PayloadTooLarge("The request is larger than its provider takes in a batch.")
        part = self._part
        return await given_line(
            ready.kept, error, at, part.lines[at], part.of, self._world, unforeseen=self._unforeseen
        )

    async def _close(self, end: int) -> None:
        """All lines before `end` are packed then, or have ended."""
        record, full, self._open = self._part.record, self._open, self._empty()
        await self._write(self._ended)
        self._ended = []
        if not full.pieces:
            return
        now = record.now
        number, first = len(now.crates), now.crates[-1].end if now.crates else 0
        name = f"{now.name}-{number:03}-{secrets.token_hex(4)}"
        items = self._native.wire.frame.between.join(full.pieces)
        kept = msgspec.msgpack.encode(full.kept)
        await self._world.batch_store.put_crate(now.tenant_id, now.batch_id, name, items, kept)
        size = (len(full.pieces), full.inputs, len(items))
        crate = Crate(now.number, number, name, first, end, *size, own_key=self._native.own_key)
        await record.change(crates=(*now.crates, crate), asked=end)

    async def _write(self, ends: Sequence[LineEnd]) -> None:
        """Only by whom the part still belongs to. Raises Overtaken."""
        if ends:
            await self._part.record.change()
            await self._results.add(ends)
            for ticket in self._besides:  # nothing was paid
                await give_back(ticket)
            self._besides = []

    def _empty(self) -> _Open:
        return _Open(Filling(self._native.wire.limits, self._native.wire.frame))
