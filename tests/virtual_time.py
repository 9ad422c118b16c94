"""A loop whose time passes as soon as everything waits: limits of minutes are tried in milliseconds, and exactly.

Only for what waits for nothing but this loop: no sockets, no threads.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Skips what it is asked to wait. Raises RuntimeError where it is to wait for ever."""

    now_s = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and for nothing that will come")
        self.now_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


@dataclass
class LoopClock:
    """The clock of a world whose time is its loop's."""

    loop: asyncio.AbstractEventLoop
    unix_s: float = 1_790_000_000.0

    def now_s(self) -> float:
        return self.unix_s + self.loop.time()

    def monotonic_s(self) -> float:
        return self.loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(loop: VirtualLoop, work: Coroutine[Any, Any, T]) -> T:
    """To its end, and all that it has begun."""
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        loop.close()
        assert not left, left
