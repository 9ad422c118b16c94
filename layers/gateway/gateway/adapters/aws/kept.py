"""What changes seldom and is read often: kept in memory for ten minutes, and longer while it cannot be read.

What is deleted, or not to be read by the gateway any more, is not kept: only who cannot answer leaves open what is so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Generic, TypeVar

from gateway.adapters.aws.api import AwsFailure
from gateway.ports import Clock

KEEP_S = 600.0
READ_AGAIN_S = 30.0
"""How soon what turned out to be of no use is read again: what is wrong where it is stored stays wrong for a while."""
LACKING_S = 10.0
"""How long it is known that there is none: it is no use to look for it at every request."""
T = TypeVar("T")


class Kept(Generic[T]):
    """`read`: reads what has that name. Raises AwsFailure. `on_failure`: is told of each."""

    def __init__(
        self, read: Callable[[str], Awaitable[T]], on_failure: Callable[[str, AwsFailure], None], clock: Clock
    ) -> None:
        self._read, self._on_failure, self._clock = read, on_failure, clock
        self._kept: dict[str, tuple[float, T]] = {}
        self._lacking: dict[str, tuple[float, str]] = {}
        self._reading: dict[str, asyncio.Lock] = {}
        self._read_again_s: dict[str, float] = {}

    async def find(self, name: str) -> T:
        """Raises AwsFailure when it is not there, and when it was never read."""
        now_s = self._clock.monotonic_s()
        until_s, known = self._kept.get(name, (-inf, None))
        if known is not None and now_s < until_s:
            return known
        lacks_until_s, code = self._lacking.get(name, (-inf, ""))
        if now_s < lacks_until_s:
            raise AwsFailure(code, is_fault=False)
        try:
            return await self._fresh(name, now_s)
        except AwsFailure:
            if name not in self._kept:
                raise
            known = self._kept[name][1]
            self._kept[name] = (now_s + READ_AGAIN_S, known)
            return known

    async def _fresh(self, name: str, now_s: float) -> T:
        """Raises AwsFailure. Where that is no fault of the service, there is none."""
        try:
            found = await self._read(name)
        except AwsFailure as failure:
            self._on_failure(name, failure)
            if not failure.is_fault:
                self._kept.pop(name, None)
                self._lacking[name] = (now_s + LACKING_S, failure.code)
            raise
        self._kept[name] = (now_s + KEEP_S, found)
        return found

    async def anew(self, name: str, useless: T) -> T:
        """For one to whom what `find` gave before is of no use: read by one for all who ask at the same time, at most
        once in READ_AGAIN_S; what is known where that was a moment ago, or it cannot be read. Never raises AwsFailure.
        """
        async with self._reading.setdefault(name, asyncio.Lock()):
            known, now_s = self._kept.get(name, (0.0, useless))[1], self._clock.monotonic_s()
            if known != useless or now_s < self._read_again_s.get(name, -inf):
                return known
            with suppress(AwsFailure):
                known = await self._fresh(name, now_s)
            self._read_again_s[name] = now_s + READ_AGAIN_S
            return known

    def forget(self) -> None:
        """Nothing secret may outlive a snapshot."""
        self._kept.clear()
        self._lacking.clear()
