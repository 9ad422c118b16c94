"""What changes seldom and is read often: kept in memory for ten minutes, and longer while it cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

from gateway.adapters.aws.api import AwsFailure
from gateway.ports import Clock

KEEP_S = 600.0
READ_AGAIN_S = 30.0
"""How soon what turned out to be of no use is read again: what is wrong where it is stored stays wrong for a while."""
T = TypeVar("T")


class Kept(Generic[T]):
    """`read`: reads what has that name. Raises AwsFailure. `on_failure`: is told of each."""

    def __init__(
        self, read: Callable[[str], Awaitable[T]], on_failure: Callable[[str, AwsFailure], None], clock: Clock
    ) -> None:
        self._read, self._on_failure, self._clock = read, on_failure, clock
        self._kept: dict[str, tuple[float, T]] = {}
        self._reading: dict[str, asyncio.Lock] = {}
        self._read_again_s: dict[str, float] = {}

    async def find(self, name: str) -> T:
        """Raises AwsFailure when it was never read."""
        kept = self._kept.get(name)
        now_s = self._clock.monotonic_s()
        if kept is not None and now_s - kept[0] < KEEP_S:
            return kept[1]
        try:
            found = await self._read(name)
        except AwsFailure as failure:
            self._on_failure(name, failure)
            if kept is None:
                raise
            found = kept[1]
        self._kept[name] = (now_s, found)
        return found

    async def anew(self, name: str, useless: T) -> T:
        """For one to whom what `find` gave before is of no use: read by one for all who ask at the same time, at most
        once in READ_AGAIN_S; what is known where that was a moment ago, or it cannot be read. Never raises AwsFailure.
        """
        async with self._reading.setdefault(name, asyncio.Lock()):
            known, now_s = self._kept.get(name, (0.0, useless))[1], self._clock.monotonic_s()
            if known != useless or now_s < self._read_again_s.get(name, -inf):
                return known
            try:
                known = await self._read(name)
                self._kept[name] = (now_s, known)
            except AwsFailure as failure:
                self._on_failure(name, failure)
            self._read_again_s[name] = now_s + READ_AGAIN_S
            return known

    def forget(self) -> None:
        """Nothing secret may outlive a snapshot."""
        self._kept.clear()
