"""The lines of one shipment on their way to their ends, each of which is written once whoever knows it first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from gateway.model.batch import PartLine, part_lines, part_name
from gateway.model.errors import GatewayError, StorageUnavailable
from gateway.model.shipment import Crate, Shipment
from gateway.pipeline.admit import Ticket
from gateway.pipeline.batch_line import CarriedOut, Closing, Lines
from gateway.pipeline.batch_line_native import Outcome, given_line
from gateway.pipeline.batch_pack import unpacked
from gateway.pipeline.batch_part import book, drop_lines
from gateway.pipeline.batch_part_results import PartResults
from gateway.pipeline.job_end import Unforeseen
from gateway.ports import World

AT_ONCE = 8
"""Lines whose replies are given at a time, with what is made of them."""
BOOK_S = 10.0
"""Between two statements of what was spent: each reads all parts."""


class ShippedLines:
    def __init__(self, shipment: Shipment, of: Lines, world: World, unforeseen: Unforeseen | None) -> None:
        self._of, self._world, self._unforeseen = of, world, unforeseen
        self._group, self._crates = shipment.group, dict[int, list[Crate]]()
        for crate in shipment.crates:
            self._crates.setdefault(crate.part, []).append(crate)
        self._parts: dict[int, PartResults] = {}
        self._besides: list[Ticket] = []
        self._booked_s = world.clock.monotonic_s()

    async def missing(self) -> dict[int, set[int]]:
        """The places of lines that have not ended, by part. Raises StorageUnavailable (503)."""
        job = self._of.job
        parts = await self._world.batch_parts.all(job.tenant_id, job.id)
        missing: dict[int, set[int]] = {}
        for part in parts:
            if part.group != self._group or part.number not in self._crates or part.is_done:
                continue
            results = self._parts[part.number] = await PartResults.of(part, self._world)
            places = {at for crate in self._crates[part.number] for at in range(crate.first, crate.end)}
            if left := places - results.known:
                missing[part.number] = left
        return missing

    async def end(self, number: int, outcomes: Mapping[int, Outcome]) -> None:
        """Lines of one part, by their places. Raises StorageUnavailable (503)."""
        results = self._parts[number]
        new = {at: outcome for at, outcome in outcomes.items() if at not in results.known}
        if not new:
            return
        lines, kept = await self._lines(number), await self._kept(number)
        places = asyncio.Semaphore(AT_ONCE)

        async def given(at: int, outcome: Outcome) -> CarriedOut:
            async with places:
                return await given_line(
                    kept[at], outcome, at, lines[at], self._of, self._world, unforeseen=self._unforeseen
                )

        carried = await asyncio.gather(*(given(at, outcome) for at, outcome in new.items()))
        await results.add([one.end for one in carried])
        self._besides += [one.besides for one in carried if one.besides is not None]
        if results.now.is_done:
            await drop_lines(results.now, self._world)
        await self._book_if_due()

    async def end_all(self, outcome: Closing | GatewayError) -> None:
        """Those that have not ended."""
        for number, places in (await self.missing()).items():
            await self.end(number, dict.fromkeys(places, outcome))
        await self.book()

    async def book(self) -> None:
        besides, self._besides = self._besides, []
        self._booked_s = self._world.clock.monotonic_s()
        await book(self._of, besides, self._world)

    async def drop(self) -> None:
        """What was kept to give their replies. What cannot be dropped the bucket's lifecycle removes."""
        job = self._of.job
        for crates in self._crates.values():
            for crate in crates:
                with suppress(StorageUnavailable):
                    await self._world.batch_store.drop_crate(job.tenant_id, job.id, crate.name)

    async def _book_if_due(self) -> None:
        if self._world.clock.monotonic_s() - self._booked_s >= BOOK_S:
            await self.book()

    async def _lines(self, number: int) -> list[PartLine]:
        job = self._of.job
        name = part_name(self._group, number)
        return part_lines(await self._world.batch_store.lines(job.tenant_id, job.id, name))

    async def _kept(self, number: int) -> dict[int, bytes]:
        job, kept = self._of.job, dict[int, bytes]()
        for crate in self._crates[number]:
            kept |= unpacked(await self._world.batch_store.kept(job.tenant_id, job.id, crate.name))
        return kept
