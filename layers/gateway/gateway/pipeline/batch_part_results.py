"""How the lines of one part ended, written down by whoever knows it: several workers may, at the same time.

Results are written in pieces, each once and for all, then told, and then counted in the part's record. Whoever writes
the next piece has read all before it, so that no line is in two; and whoever finds a piece that is not counted yet
counts it. With the last line the part is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from gateway.model.batch import BatchPart, LineEnd, encoded_lines, line_ends
from gateway.model.errors import StorageUnavailable
from gateway.model.record import Told
from gateway.ports import Clock, World

PATIENCE_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Between tries to write results, which are paid."""
T = TypeVar("T")


class PartResults:
    """`now`: the part as it was last read or written here. `known`: the places of lines that have ended."""

    def __init__(self, part: BatchPart, world: World) -> None:
        self.now, self._world = part, world
        self.known: set[int] = set()
        self._pieces = 0

    @classmethod
    async def of(cls, part: BatchPart, world: World) -> PartResults:
        """With all that was written by now. Raises StorageUnavailable (503)."""
        results = cls(part, world)
        await results._catch_up()
        return results

    async def add(self, ends: Sequence[LineEnd]) -> None:
        """Those that nobody has written yet. Raises StorageUnavailable (503)."""
        of, store = self.now, self._world.batch_store
        while new := [end for end in ends if end.at not in self.known]:
            data = encoded_lines(new)
            put = partial(store.put_piece, of.tenant_id, of.batch_id, of.name, self._pieces, data)
            if await patiently(put, self._world.clock):
                await self._take(new)
            else:
                await self._catch_up()

    async def _catch_up(self) -> None:
        of, store = self.now, self._world.batch_store
        while (data := await store.piece(of.tenant_id, of.batch_id, of.name, self._pieces)) is not None:
            await self._take(line_ends(data))

    async def _take(self, ends: Sequence[LineEnd]) -> None:
        """The next piece."""
        self.known |= {end.at for end in ends}
        if self._pieces >= self.now.pieces:
            await self._count(ends)
        self._pieces += 1

    async def _count(self, ends: Sequence[LineEnd]) -> None:
        """Unless somebody else has by now."""
        world = self._world
        told: list[Told] = []
        for end in ends:
            told += [*end.records, *end.events]
        if told:
            await world.events.send(told)
        while self.now.pieces <= self._pieces:
            totals = sum((end.totals for end in ends), self.now.totals)
            is_done = len(self.known) >= self.now.lines
            asked = self.now.lines if is_done else self.now.asked
            counted = self.now.changed(pieces=self._pieces + 1, totals=totals, is_done=is_done, asked=asked)
            if await patiently(partial(world.batch_parts.change, counted), world.clock):
                self.now = counted
            else:
                await self._read()

    async def _read(self) -> None:
        of = self.now
        found = await self._world.batch_parts.find(of.tenant_id, of.batch_id, of.group, of.number)
        if found is None:
            raise StorageUnavailable("A part of the batch cannot be read at the moment.")
        self.now = found


async def patiently(write: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Tried again for a minute. Raises StorageUnavailable (503)."""
    for pause_s in PATIENCE_S:
        try:
            return await write()
        except StorageUnavailable:
            await clock.sleep(pause_s)
    return await write()
