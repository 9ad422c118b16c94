"""What a provider has made of a shipment, read to its end: each result becomes the end of its line.

Results come in any order. They wait until their part has all of its own, or until they are too many. A worker that
follows another reads all of it again, and passes over lines that have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

from msgspec import Struct, field

from gateway.model.errors import JobInterrupted
from gateway.model.job import Job
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderGone
from gateway.model.shipment import Shipment, label_of, place_of
from gateway.pipeline.batch_line import EXPIRED_AT_PROVIDER, Closing, Lines
from gateway.pipeline.batch_line_native import Native, Outcome
from gateway.pipeline.batch_look import is_lost
from gateway.pipeline.batch_part import closing_now, lines_of
from gateway.pipeline.batch_record import BatchRecord
from gateway.pipeline.batch_remote import forget, output, reached, state_at
from gateway.pipeline.batch_shipped import ShippedLines
from gateway.pipeline.batch_work import START_S
from gateway.pipeline.job_causes import LOST
from gateway.pipeline.job_end import Unforeseen
from gateway.pipeline.job_record import JobBusy
from gateway.pipeline.job_work import JobPending
from gateway.ports import World
from gateway.providers.contract import BatchResult, BatchState

WAITING_BYTES = 16 * 1024 * 1024
"""Of results that wait for others of their part. As much again and more is made of what is given."""
GIVE_S = 120.0
"""Beside the time that there is to read, to give what was read."""
AGAIN_S = 300.0
"""After which a provider is asked again whose queue was full."""
GONE_S = 300.0
"""For which a provider has to say that it does not know a batch, or its results, until that is believed."""


async def collect(
    job: Job,
    group: int,
    number: int,
    world: World,
    unforeseen: Unforeseen | None = None,
    *,
    closing: Closing | None = None,
) -> bool:
    """Whether all its lines have ended; else it is to be submitted, looked at and collected again. `closing`: why its
    provider was stopped.

    Raises JobPending where nobody can tell, JobBusy while another worker is believed to be at it, StorageUnavailable
    and AdmissionUnavailable (503).
    """
    shipment = await world.shipments.find(job.tenant_id, job.id, group, number)
    if shipment is None or shipment.is_collected:
        return True
    if shipment.remote_id is None:
        return False
    if shipment.alive_until_s > world.clock.now_s():
        raise JobBusy
    record = BatchRecord(shipment, world.shipments, world.clock)
    of = await lines_of(job, group, world)
    closing = closing or await closing_now(job, world)
    async with record.claimed():
        return await _Collecting(record, of, world, unforeseen, closing).run()


class _Waiting(Struct):
    """Results that are read and not given yet, by part and place. `missing`: places of lines that have not ended."""

    missing: dict[int, set[int]]
    read: dict[int, dict[int, Outcome]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)

    def take(self, place: tuple[int, int], outcome: Outcome, size_bytes: int) -> None:
        part, at = place
        if at in self.missing.get(part, ()):
            self.read.setdefault(part, {}).setdefault(at, outcome)
            self.sizes[part] = self.sizes.get(part, 0) + size_bytes

    def ready(self) -> int | None:
        """A part that has all of its results, or the largest where they are too many."""
        for part, outcomes in self.read.items():
            if len(outcomes) >= len(self.missing[part]):
                return part
        return max(self.sizes, key=lambda part: self.sizes[part]) if sum(self.sizes.values()) > WAITING_BYTES else None

    def give(self, part: int) -> dict[int, Outcome]:
        outcomes, _ = self.read.pop(part), self.sizes.pop(part)
        self.missing[part] -= outcomes.keys()
        if not self.missing[part]:
            del self.missing[part]
        return outcomes


class _Collecting:
    """`record`: claimed by this worker."""

    def __init__(
        self,
        record: BatchRecord[Shipment],
        of: Lines,
        world: World,
        unforeseen: Unforeseen | None,
        closing: Closing | None,
    ) -> None:
        self._record, self._of, self._world, self._closing = record, of, world, closing
        self._until_s = world.clock.monotonic_s() + START_S
        self._told, self._unreadable = 0, 0
        self._lines = ShippedLines(record.now, of, world, unforeseen)

    async def run(self) -> bool:
        try:
            native = await reached(self._record.now, self._of, self._world)
            state = await state_at(self._remote_id, native, self._world)
            if not state.is_over and not is_lost(self._of.job, self._world):
                await self._record.change(alive_until_s=0)
                raise JobPending
            if not await self._is_ended(state, native):
                return False
            await self._forget(state.outputs, native)
        except ProviderGone as error:
            await self._gone(error)
        except ProviderFailure as error:
            await self._later(error)
        await self._lines.book()
        await self._record.change(is_collected=True, alive_until_s=0)
        await self._lines.drop()
        return True

    @property
    def _remote_id(self) -> str:
        assert self._record.now.remote_id is not None  # noqa: S101 - its provider has it
        return self._record.now.remote_id

    async def _is_ended(self, state: BatchState, native: Native) -> bool:
        """Every line. Raises ProviderFailure: ProviderGone where its provider does not know any more."""
        if self._is_to_be_asked_again(state):
            now, again_s = self._record.now, self._world.clock.now_s() + AGAIN_S
            label = f"{label_of(now.batch_id, now.group, now.number)}-{now.revision}"  # of this try alone
            await self._record.change(
                is_asked=False, remote_id=None, label=label, ask_at_s=again_s, gone_at_s=0, alive_until_s=0
            )
            return False
        waiting = _Waiting(await self._lines.missing())
        if not await self._is_read(state, waiting, native):
            await self._record.change(alive_until_s=0)
            return False
        for part, places in list(waiting.missing.items()):
            await self._lines.end(part, {at: self._untold(state, native) for at in places})
        return True

    def _is_to_be_asked_again(self, state: BatchState) -> bool:
        """Where the provider has made nothing of it, for want of room."""
        failure = state.failure
        is_momentary = failure is not None and failure.retryable and failure.is_refusal
        return state.status == "failed" and is_momentary and not state.outputs and self._closing is None

    async def _is_read(self, state: BatchState, waiting: _Waiting, native: Native) -> bool:
        """To the end of all outputs, if there was time. Raises ProviderFailure, when what was read is written."""
        try:
            is_read = await self._read_all(state.outputs if waiting.missing else (), waiting, native)
        except ProviderFailure:
            await self._give_all(waiting)
            raise
        return await self._give_all(waiting) and is_read

    async def _give_all(self, waiting: _Waiting) -> bool:
        """If there was time: what is not given is read again."""
        for part in list(waiting.read):
            if self._world.clock.monotonic_s() >= self._until_s + GIVE_S:
                return False
            await self._lines.end(part, waiting.give(part))
        return True

    async def _read_all(self, outputs: Sequence[str], waiting: _Waiting, native: Native) -> bool:
        for name in outputs:
            async with aclosing(self._results(name, native)) as results:
                async for result, size_bytes in results:
                    self._told += 1
                    if (place := place_of(result.item_id)) is not None:
                        waiting.take(place, self._outcome(result), size_bytes)
                    del result  # it may be large
                    while not self._is_late and (part := waiting.ready()) is not None:
                        await self._lines.end(part, waiting.give(part))
                    if not waiting.missing:
                        return True
                    if self._is_late:
                        return False
            if self._is_late:
                return False
        return True

    @property
    def _is_late(self) -> bool:
        return self._world.clock.monotonic_s() >= self._until_s

    async def _results(self, name: str, native: Native) -> AsyncGenerator[tuple[BatchResult[Any], int], None]:
        """Each with its share of the bytes in which it came, as long as there is time. Raises ProviderFailure."""
        parser, unread_bytes = native.wire.parser(native.target), 0
        async with output(name, native, self._world) as chunks:
            async for data in chunks:
                unread_bytes += len(data)
                if results := deque(parser.feed(data)):
                    share_bytes, unread_bytes = unread_bytes // len(results), 0
                    while results:
                        yield results.popleft(), share_bytes
                if self._is_late:
                    return
            for result in parser.close():
                yield result, unread_bytes
        self._unreadable += parser.unreadable
        if parser.unreadable:
            reason = f"{parser.unreadable} results name no item."
            self._world.records.trouble("batch.unreadable", job_id=self._of.job.id, reason=reason)

    def _outcome(self, result: BatchResult[Any]) -> Outcome:
        """What its provider did not come to ends as the batch does, if that is why."""
        is_undone = result.ending in ("expired", "cancelled")
        return self._closing if is_undone and self._closing is not None else result

    def _untold(self, state: BatchState, native: Native) -> Outcome:
        """For items of which nothing is told: nothing was done for them, where it is over and all could be read."""
        if not state.is_over:
            return JobInterrupted(LOST)
        if state.failure is not None:
            return state.failure
        if self._closing is not None:
            return self._closing
        if state.status == "expired":
            return EXPIRED_AT_PROVIDER
        nothing = ProviderError(f"{native.target.provider} gave no result for this request.")
        may_be_paid = self._unreadable or self._told < state.counts.answered
        return BatchResult("", "failed", failure=nothing) if may_be_paid else nothing

    async def _gone(self, error: ProviderGone) -> None:
        """Raises JobPending, until that is believed: a service of several machines may not know for a while."""
        if await self._lines.missing():
            now_s, since_s = self._world.clock.now_s(), self._record.now.gone_at_s
            if not since_s or now_s < since_s + GONE_S:
                self._world.records.trouble("batch.not_collected", job_id=self._of.job.id, reason=error.message)
                await self._record.change(gone_at_s=since_s or now_s, alive_until_s=0)
                raise JobPending from error
            await self._lines.end_all(JobInterrupted(LOST))
        with suppress(ProviderFailure):
            await self._forget((), await reached(self._record.now, self._of, self._world))

    async def _later(self, error: ProviderFailure) -> None:
        """Raises JobPending, until it is too late."""
        job = self._of.job
        if is_lost(job, self._world):
            return await self._lines.end_all(JobInterrupted(LOST))
        self._world.records.trouble("batch.not_collected", job_id=job.id, reason=error.message)
        await self._record.change(alive_until_s=0)
        raise JobPending from error

    async def _forget(self, outputs: Sequence[str], native: Native) -> None:
        file = self._record.now.file
        await forget(self._remote_id, [*([] if file is None else [file]), *outputs], native, self._world)
