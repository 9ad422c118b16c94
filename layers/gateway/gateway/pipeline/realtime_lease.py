"""A session in the hands of one function, as long as it says so every second, and nobody else."""

from __future__ import annotations

from contextlib import suppress

from gateway.model.errors import StorageUnavailable
from gateway.model.realtime_session import BEAT_S, SILENT_S, Books, Snapshot
from gateway.ports import Clock
from gateway.realtime_ports import Sessions


class Holding:
    """`taken_s`: by the monotonic clock, when it was asked for. `is_left`: the client has gone."""

    def __init__(
        self, connection_id: str, epoch: int, sessions: Sessions, clock: Clock, taken_s: float, is_left: bool = False
    ) -> None:
        self.connection_id, self.epoch = connection_id, epoch
        self._sessions, self._clock = sessions, clock
        self._said_s = taken_s
        self.is_left = is_left

    def is_sure(self) -> bool:
        """Whether nobody can have followed. Before anything is said to the client."""
        return self._clock.monotonic_s() < self._said_s + SILENT_S

    async def beat(self) -> None:
        """For as long as it is held. Raises Fenced."""
        while True:
            await self._clock.sleep(BEAT_S)
            with suppress(StorageUnavailable):  # who cannot say so is followed, and finds that out
                await self.confirm()

    async def confirm(self) -> None:
        """That nobody has followed. Raises Fenced, StorageUnavailable (503)."""
        begun_s = self._clock.monotonic_s()
        lease = await self._sessions.beat(self.connection_id, self.epoch, self._clock.now_s())
        self._said_s = max(self._said_s, begun_s)
        self.is_left |= lease.is_left

    async def keep(self, snapshot: Snapshot) -> None:
        """Raises Fenced, StorageUnavailable (503)."""
        await self._sessions.keep(self.connection_id, self.epoch, snapshot)

    async def book(self, books: Books) -> None:
        """Raises Fenced, StorageUnavailable (503)."""
        await self._sessions.book(self.connection_id, self.epoch, books)

    async def hand_over(self) -> None:
        """Raises Fenced, StorageUnavailable (503)."""
        await self._sessions.hand_over(self.connection_id, self.epoch, self._clock.now_s())

    async def end(self) -> None:
        """Raises Fenced, StorageUnavailable (503)."""
        await self._sessions.end(self.connection_id, self.epoch)
