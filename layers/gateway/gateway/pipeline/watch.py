"""The time limits of an attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal, TypeVar

from gateway.model.provider_errors import ProviderTimeout
from gateway.pipeline.exchange import Attempt
from gateway.ports import World

T = TypeVar("T")


@dataclass(slots=True)
class Watch:
    """Waits for the provider on behalf of an attempt: adds up the time and ends it at the deadline."""

    attempt: Attempt
    world: World
    deadline_s: float
    phase: Literal["ttft", "total"]

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Raises ProviderTimeout (504)."""
        began_s = self.world.clock.monotonic_s()
        try:
            return await self.within(awaitable)
        finally:
            self.attempt.provider_wait_s += self.world.clock.monotonic_s() - began_s

    async def within(self, awaitable: Awaitable[T]) -> T:
        """As `wait`, for what is the gateway's own work. Raises ProviderTimeout (504)."""
        try:
            async with asyncio.timeout(self.deadline_s - self.world.clock.monotonic_s()):
                return await awaitable
        except TimeoutError:
            provider = self.attempt.route.provider.name
            raise ProviderTimeout(f"{provider} did not answer in time ({self.phase}).", phase=self.phase) from None
