"""What changes seldom and is read often: kept in memory for ten minutes, and longer while it cannot be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.adapters.aws.api import AwsFailure
from gateway.ports import Clock

KEEP_S = 600.0
T = TypeVar("T")


class Kept(Generic[T]):
    """`read`: reads what has that name. Raises AwsFailure. `on_failure`: is told of each."""

    def __init__(
        self, read: Callable[[str], Awaitable[T]], on_failure: Callable[[str, AwsFailure], None], clock: Clock
    ) -> None:
        self._read, self._on_failure, self._clock = read, on_failure, clock
        self._kept: dict[str, tuple[float, T]] = {}

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

    def forget(self) -> None:
        """Nothing secret may outlive a snapshot."""
        self._kept.clear()
