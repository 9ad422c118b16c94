"""One part of a batch, carried out by a worker that may die anywhere.

Lines are asked some at a time, after the part's record says so. Their results are written in pieces, each once and for
all, told, and then counted in the record. Who follows a worker that died takes over the piece that was written and not
counted; lines that may have been asked and are in no piece end as lost, in a piece of their own: once that is written,
the worker before can write no more. So each line is asked at most once, and accounted for once: but for those that
their provider has no room for. They are asked again, until it has or the batch is over; a worker that gets nowhere with
them leaves them to another, who comes some minutes later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from gateway.model.batch import (
    PART_BYTES,
    BatchPart,
    LineEnd,
    encoded_lines,
    line_ends,
)
from gateway.model.job import Job
from gateway.model.record import Told
from gateway.pipeline.admit import Ticket
from gateway.pipeline.batch_line import PATIENCE_S, CarriedOut, Closing, NoRoom, carried_out, lost
from gateway.pipeline.batch_part import OpenPart, closing_now, end_part, opened
from gateway.pipeline.batch_part_results import patiently
from gateway.pipeline.batch_weight import AT_ONCE_BYTES, reply_bytes
from gateway.pipeline.job_end import Unforeseen
from gateway.pipeline.job_record import JobBusy, Overtaken
from gateway.ports import World

FLUSH_LINES = 8
FLUSH_S = 5.0
"""How many results, or fewer after how long, are written together."""
START_S = 540.0
"""After which a worker asks for nothing more: what it has begun then ends before its function does."""


async def carry_out(
    job: Job,
    group: int,
    number: int,
    world: World,
    unforeseen: Unforeseen | None = None,
    *,
    closing: Closing | None = None,
) -> BatchPart:
    """The part, done or as far as there was time. `closing`: why nothing more is asked for.

    Raises JobBusy while another worker is believed to be at it, StorageUnavailable and AdmissionUnavailable (503).
    """
    found = await world.batch_parts.find(job.tenant_id, job.id, group, number)
    if found is not None and found.is_done:
        return found
    if found is not None and found.alive_until_s > world.clock.now_s():
        raise JobBusy
    part = await opened(job, group, number, found, world)
    record = part.record
    async with record.claimed():
        work = PartWork(part, world, unforeseen, closing=closing or part.closing)
        if found is not None:
            await work.take_over()
        await work.run()
    return record.now


class PartWork:
    """`part`: its record is claimed by this worker."""

    def __init__(self, part: OpenPart, world: World, unforeseen: Unforeseen | None, *, closing: Closing | None) -> None:
        self._of, self._lines, self._record, self._world = part.of, part.lines, part.record, world
        self._unforeseen, self._closing = unforeseen, closing
        self._at_once = world.lines_at_once.at(part.of.group.model)
        self._until_s = world.clock.monotonic_s() + START_S
        self._got_on_s = world.clock.monotonic_s()
        self._refused: set[int] = set()
        self._ended: list[LineEnd] = []
        self._ended_bytes, self._waits_from_s = 0, 0.0
        self._known: set[int] = set()
        self._asks_for: dict[int, int] = {}
        self._besides: list[Ticket] = []

    # -- What a worker before has left -------------------------------------------------------------------------------

    async def take_over(self) -> None:
        for piece in range(self._record.now.pieces):
            self._known |= {end.at for end in line_ends(await self._piece(piece) or b"")}
        await self._adopt()
        while missing := [at for at in range(self._record.now.asked) if not self._is_known(at)]:
            ends = [lost(at, self._lines[at], self._of, self._world) for at in missing]
            if await self._is_put(encoded_lines(ends)):
                await self._count(ends)
            await self._adopt()

    def _is_known(self, at: int) -> bool:
        return at in self._known or at in self._record.now.again

    async def _adopt(self) -> None:
        """Pieces that were written and not counted."""
        while (data := await self._piece(self._record.now.pieces)) is not None:
            await self._count(line_ends(data))

    async def _piece(self, piece: int) -> bytes | None:
        of = self._record.now
        return await self._world.batch_store.piece(of.tenant_id, of.batch_id, of.name, piece)

    # -- What is still to be done ------------------------------------------------------------------------------------

    async def run(self) -> None:
        running: set[asyncio.Task[CarriedOut | NoRoom]] = set()
        now = self._record.now
        ahead = [at for at in (*now.again, *range(now.asked, len(self._lines))) if at not in self._known]
        try:
            while True:
                while ahead and self._has_room(ahead[0]) and await self._may_ask(ahead[0]):
                    self._asks_for[ahead[0]] = self._reply_bytes(ahead[0])
                    running.add(asyncio.create_task(self._carried_out(ahead.pop(0))))
                if not running:
                    break
                done, running = await asyncio.wait(
                    running, timeout=FLUSH_S if self._ended else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    self._take(task.result(), ahead)
                    await self._flush(only_if_due=True)
                await self._flush(only_if_due=True)
            await self._flush()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        if ahead and self._closing is None:
            await self._leave(ahead)
        else:
            await self._end(ahead)

    async def _leave(self, ahead: Sequence[int]) -> None:
        """To another, who goes on."""
        again = tuple(sorted(at for at in ahead if at < self._record.now.asked))
        await self._record.change(again=again, alive_until_s=0)

    def _has_room(self, at: int) -> bool:
        """Whether that may be asked beside what is."""
        further = self._reply_bytes(at)
        fits = not self._asks_for or sum(self._asks_for.values()) + further <= AT_ONCE_BYTES
        return len(self._asks_for) < self._at_once and fits

    def _reply_bytes(self, at: int) -> int:
        return reply_bytes(self._of.group.endpoint, bytes(self._lines[at].body))

    async def _carried_out(self, at: int) -> CarriedOut | NoRoom:
        return await carried_out(at, self._lines[at], self._of, self._world, self._unforeseen, self._until_s)

    async def _may_ask(self, at: int) -> bool:
        """What is said to be asked is asked; before it is said, or asked again, it may be too late for it."""
        now = self._record.now
        if at < now.asked and at not in now.again and at not in self._refused:
            return True
        if self._closing is None:
            self._closing = await closing_now(self._of.job, self._world)
        if self._closing is not None or self._world.clock.monotonic_s() >= self._until_s or self._gets_nowhere():
            return False
        if at >= now.asked:
            await self._record.change(asked=min(at + self._at_once, len(self._lines)))
        elif at in now.again:  # the first of them
            await self._record.change(again=now.again[self._at_once :])
        self._refused.discard(at)
        return True

    def _gets_nowhere(self) -> bool:
        return bool(self._refused) and self._world.clock.monotonic_s() >= self._got_on_s + PATIENCE_S

    def _take(self, carried: CarriedOut | NoRoom, ahead: list[int]) -> None:
        """One that its provider had no room for is the next, so no others are asked that may be refused as well."""
        if isinstance(carried, NoRoom):
            del self._asks_for[carried.at]
            self._refused.add(carried.at)
            ahead.insert(0, carried.at)
            return
        del self._asks_for[carried.end.at]
        now_s = self._got_on_s = self._world.clock.monotonic_s()
        if not self._ended:
            self._waits_from_s = now_s
        self._ended.append(carried.end)
        self._ended_bytes += len(bytes(carried.end.body))
        if carried.besides is not None:
            self._besides.append(carried.besides)

    async def _flush(self, *, only_if_due: bool = False) -> None:
        waited_s = self._world.clock.monotonic_s() - self._waits_from_s
        is_due = len(self._ended) >= FLUSH_LINES or self._ended_bytes >= PART_BYTES or waited_s >= FLUSH_S
        if not self._ended or (only_if_due and not is_due):
            return
        ends, self._ended, self._ended_bytes = self._ended, [], 0
        await self._write(ends)

    async def _write(self, ends: Sequence[LineEnd]) -> None:
        """Raises Overtaken, StorageUnavailable (503)."""
        if not await self._is_put(encoded_lines([*ends])):
            raise Overtaken
        await self._count(ends)

    async def _is_put(self, data: bytes) -> bool:
        of, store = self._record.now, self._world.batch_store
        write = partial(store.put_piece, of.tenant_id, of.batch_id, of.name, of.pieces, data)
        return await patiently(write, self._world.clock)

    async def _count(self, ends: Sequence[LineEnd]) -> None:
        """Of a piece that is written: told, then counted."""
        told: list[Told] = []
        for end in ends:
            told += [*end.records, *end.events]
        if told:
            await self._world.events.send(told)
        now = self._record.now
        totals = sum((end.totals for end in ends), now.totals)
        write = partial(self._record.change, pieces=now.pieces + 1, totals=totals)
        await patiently(write, self._world.clock)
        self._known |= {end.at for end in ends}

    async def _end(self, ahead: Sequence[int]) -> None:
        """Of lines that nobody asks any more as well."""
        if ahead and self._closing is not None:
            await self._write([self._closing.of(at, self._lines[at], self._of) for at in ahead])
        await self._record.change(is_done=True, asked=len(self._lines), again=(), alive_until_s=0)
        await end_part(self._record.now, self._of, self._besides, self._world)
