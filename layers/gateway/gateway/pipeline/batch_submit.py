"""A shipment, given to its provider as one batch: uploaded, asked for, and known by name.

That it may have been asked for is said before. Who finds that, and no name, looks for it; what cannot be found nobody
asks for again, so its lines are lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress

from msgspec import Struct

from gateway.model.errors import GatewayError, JobInterrupted, StorageUnavailable
from gateway.model.http import HttpResponse, Sending
from gateway.model.job import Job
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.shipment import Shipment
from gateway.pipeline.batch_line import Closing, Lines
from gateway.pipeline.batch_line_native import Native
from gateway.pipeline.batch_look import is_lost
from gateway.pipeline.batch_part import closing_now, disabled, lines_of
from gateway.pipeline.batch_record import BatchRecord
from gateway.pipeline.batch_remote import (
    NO_ROOM,
    RefusedForGood,
    forget,
    made_before,
    reached,
    refuse,
    send,
    uploaded,
)
from gateway.pipeline.batch_shipped import ShippedLines
from gateway.pipeline.job_causes import LOST
from gateway.pipeline.job_end import Unforeseen
from gateway.pipeline.job_record import JobBusy
from gateway.pipeline.job_work import JobPending
from gateway.ports import World
from gateway.providers.contract import Filling

PAUSE_S = 5.0
"""Until a batch that was made by a request which failed is among those that were made last."""
LISTED_S = 300.0
"""By when it is there at the latest, where its request may still have been under way."""
AGAIN_BYTES_PER_S, LONGEST_PAUSE_S = 1_000_000, 300.0
"""An input that was not taken is sent again so much later, for each of its bytes."""
CHUNK_BYTES = 256 * 1024


async def submit(
    job: Job,
    group: int,
    number: int,
    world: World,
    unforeseen: Unforeseen | None = None,
    *,
    closing: Closing | None = None,
) -> None:
    """Its provider has it then, or all its lines have ended. `closing`: why nobody is asked any more.

    Raises JobPending where it is to be tried again, JobBusy while another worker is believed to be at it,
    StorageUnavailable and AdmissionUnavailable (503).
    """
    shipment = await world.shipments.find(job.tenant_id, job.id, group, number)
    if shipment is None or shipment.is_collected or shipment.remote_id is not None:
        return
    if shipment.alive_until_s > world.clock.now_s():
        raise JobBusy
    of = await lines_of(job, group, world)
    closing = closing or disabled(of.principal) or await closing_now(job, world)
    if closing is None and shipment.ask_at_s > world.clock.now_s():
        raise JobPending
    record = BatchRecord(shipment, world.shipments, world.clock)
    async with record.claimed():
        await _Submission(record, of, world, unforeseen).run(closing)


class _Submission(Struct, frozen=True):
    """`record`: claimed by this worker."""

    record: BatchRecord[Shipment]
    of: Lines
    world: World
    unforeseen: Unforeseen | None

    async def run(self, closing: Closing | None) -> None:
        try:
            if not self.record.now.is_asked and closing is not None:
                return await self._end(closing)
            if is_lost(self.of.job, self.world):
                return await self._end(JobInterrupted(LOST))
            if not self.record.now.is_asked and (gone := self._key_is_gone()) is not None:
                return await self._end(gone)
            native = await reached(self.record.now, self.of, self.world)
            if self.record.now.is_asked:
                return await self._found(native)
            await self._upload(native)
            if closing := await closing_now(self.of.job, self.world):  # it may have taken minutes
                return await self._end(closing)
            await self._create(native)
        except RefusedForGood as refused:
            await self._end(refused.failure)
        except ProviderFailure as failure:
            await self._later(failure)

    def _key_is_gone(self) -> ProviderError | None:
        """The tenant's own, for which the items were packed, is none of his any more: it will not come back."""
        provider, tenant = self.of.group.model.partition("/")[0], self.of.principal.tenant
        if not self.record.now.own_key or provider in tenant.own_keys:
            return None
        return ProviderError(f"The tenant's own key for {provider} is not there any more.")

    async def _found(self, native: Native) -> None:
        """Of one that may have been asked for by a worker that died, or that got no answer."""
        remote_id = await made_before(self.record.now.label, native, self.world)
        if remote_id is None:
            if native.wire.recent(native.target) is not None and self._may_be_listed_yet():
                raise ProviderError(f"{native.target.provider} does not list the batch yet.")
            return await self._end(JobInterrupted(LOST))
        await self.record.change(remote_id=remote_id, alive_until_s=0)

    def _may_be_listed_yet(self) -> bool:
        return self.world.clock.now_s() < self.record.now.asked_at_s + LISTED_S

    async def _upload(self, native: Native) -> None:
        if self.record.now.file is not None:
            return
        file = await uploaded(native, lambda: self._input(native), self._filling(native).size_bytes, self.world)
        if file is not None:
            await self.record.change(file=file)

    async def _create(self, native: Native) -> None:
        now, sending = self.record.now, Sending()
        step = native.wire.create(now.file, now.label, native.target)
        size_bytes = self._filling(native).size_bytes
        await self.record.change(is_asked=True, asked_at_s=self.world.clock.now_s())
        try:
            answer = await send(step, native, lambda: self._input(native), size_bytes, self.world, sending)
        except (ProviderFailure, StorageUnavailable):
            if not sending.has_left:
                await self.record.change(is_asked=False, alive_until_s=0)
            raise
        if 200 <= answer.status < 300:
            state = native.wire.state(answer, native.target)
            await self.record.change(remote_id=state.remote_id, alive_until_s=0)
        else:
            await self._refused(answer, native)

    async def _refused(self, answer: HttpResponse, native: Native) -> None:
        if answer.status < 500 or answer.status in NO_ROOM:
            await self.record.change(is_asked=False)
            await refuse(answer, native, self.world)
        await self.world.clock.sleep(PAUSE_S)
        if native.wire.recent(native.target) is None:
            return await self._end(JobInterrupted(LOST))
        remote_id = await made_before(self.record.now.label, native, self.world)
        if remote_id is None:
            await self.record.change(is_asked=False)
            await refuse(answer, native, self.world)
        await self.record.change(remote_id=remote_id, alive_until_s=0)

    async def _later(self, failure: ProviderFailure) -> None:
        """Raises JobPending: the state machine tries again, until the batch's time is over."""
        job = self.of.job
        self.world.records.trouble("batch.not_submitted", job_id=job.id, reason=failure.message)
        size_bytes = sum(crate.size_bytes for crate in self.record.now.crates)
        pause_s = min(max(failure.retry_after_s or 0, size_bytes / AGAIN_BYTES_PER_S), LONGEST_PAUSE_S)
        await self.record.change(ask_at_s=self.world.clock.now_s() + pause_s, alive_until_s=0)
        raise JobPending from failure

    async def _end(self, outcome: Closing | GatewayError) -> None:
        shipped = ShippedLines(self.record.now, self.of, self.world, self.unforeseen)
        await shipped.end_all(outcome)
        await self._forget()
        await self.record.change(is_collected=True, alive_until_s=0)
        await shipped.drop()

    async def _forget(self) -> None:
        """An input of which no batch was made, or none that anybody can find."""
        if (file := self.record.now.file) is not None:
            with suppress(ProviderFailure):
                await forget(None, [file], await reached(self.record.now, self.of, self.world), self.world)

    def _filling(self, native: Native) -> Filling:
        filling = Filling(native.wire.limits, native.wire.frame)
        for crate in self.record.now.crates:
            filling.takes_joined(crate.size_bytes, crate.items, crate.inputs)
        return filling

    async def _input(self, native: Native) -> AsyncIterator[bytes]:
        """One crate at a time."""
        shipment, frame, store = self.record.now, native.wire.frame, self.world.batch_store
        lead, names = frame.before, deque(crate.name for crate in shipment.crates)
        while names:
            items = await store.crate(shipment.tenant_id, shipment.batch_id, names.popleft())
            yield lead
            for start in range(0, len(items), CHUNK_BYTES):
                yield items[start : start + CHUNK_BYTES]
            lead = frame.between
        yield frame.after
