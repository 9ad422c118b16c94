"""The record of a part or a shipment in the hands of its worker. Nobody else is at it while that is believed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic

from gateway.batch_ports import BatchRecords, R
from gateway.model.errors import StorageUnavailable
from gateway.pipeline.job_record import BEAT_S, BELIEVED_S, JobBusy, Overtaken, until_written
from gateway.pipeline.meanwhile import meanwhile
from gateway.ports import Clock


class BatchRecord(Generic[R]):
    """`now`: as it was last read or written here."""

    def __init__(self, record: R, records: BatchRecords[R], clock: Clock) -> None:
        self.now: R = record
        self._records: BatchRecords[R] = records
        self._clock = clock
        self._worker = secrets.token_hex(8)
        self._lock = asyncio.Lock()

    async def change(self, **changes: Any) -> None:
        """What was not answered is written again, on top of itself if it came through.

        Raises Overtaken, StorageUnavailable (503).
        """
        async with self._lock:
            await until_written(lambda: self._is_written(changes), self._clock)

    async def _is_written(self, changes: dict[str, Any]) -> bool:
        """If not, an earlier write of this worker's own came through late, or a result beside it: known by now."""
        said = {"alive_until_s": self._clock.now_s() + BELIEVED_S, "worker": self._worker}
        changed = self.now.changed(**{**said, **changes})
        if await self._records.change(changed):
            self.now = changed
            return True
        found = await self._records.find(changed.tenant_id, changed.batch_id, changed.group, changed.number)
        if found is None or found.worker != self._worker:
            raise Overtaken
        self.now = found
        return False

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[None]:
        """While it is worked on the record says so, again and again.

        Raises JobBusy where another worker has it, or comes to have it, StorageUnavailable (503).
        """
        try:
            await self.change()
            async with meanwhile(self._beat()):
                yield
        except Overtaken:
            raise JobBusy from None

    async def _beat(self) -> None:
        """Whoever finds that it is too late for a beat finds it at his next change as well."""
        while True:
            await asyncio.sleep(BEAT_S)
            with suppress(StorageUnavailable):
                try:
                    await self.change()
                except Overtaken:
                    return
