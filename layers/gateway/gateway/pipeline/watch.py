"""The time limits of an attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from gateway.model.call import MAX_BEGIN_MS, MAX_JOB_MS, Call
from gateway.model.provider_errors import ProviderTimeout
from gateway.pipeline.exchange import ANSWER_S, Attempt
from gateway.pipeline.timeouts import said_ms
from gateway.ports import World

T = TypeVar("T")

BEFORE_AND_AFTER_S = 75.0
"""What a request may take besides its attempt: media that have to be fetched, hooks, settling."""


def total_s(call: Call, longest_ms: int = MAX_BEGIN_MS, spare_s: float = 0.0, chances: int = 1) -> float:
    """How long an attempt may take. `spare_s`: how much of the longest time is needed for something else. `chances`:
    how many models share what is left, where the call does not say how long each may take.
    """
    longest_ms = MAX_JOB_MS if call.async_ else longest_ms
    return seconds(*said_ms(call, "total_ms"), longest_ms, spare_s, chances)


def begins_s(call: Call, attempt: Attempt) -> float:
    """How long an attempt may take until its first content: of the time from the request's arrival, less what media
    and hooks took before. Hooks that have to agree to a stream come after its end.
    """
    return seconds(*said_ms(call, "ttft_ms"), MAX_BEGIN_MS, attempt.own_wait_s + attempt.late_s, attempt.chances)


def lease_s(call: Call, longest_ms: int = MAX_BEGIN_MS) -> float:
    """After which nobody can be working on a call any more; on one that is to run as a job, on making it one."""
    return (ANSWER_S if call.async_ else total_s(call, longest_ms)) + BEFORE_AND_AFTER_S


def patience_s(call: Call, longest_ms: int, wait_s: int | None, spare_s: float = 0.0) -> float:
    """How long who waits for work that goes on without him does so. `wait_s`: what he prefers."""
    longest_s = seconds(*said_ms(call, "total_ms"), longest_ms, spare_s)
    return longest_s if wait_s is None else min(longest_s, float(wait_s))


def seconds(
    milliseconds: int | None, most_ms: int | None, longest_ms: int, spare_s: float = 0.0, chances: int = 1
) -> float:
    longest_s = longest_ms / 1000 - spare_s
    limit_s = longest_s / chances if milliseconds is None else min(milliseconds / 1000, longest_s)
    return limit_s if most_ms is None else min(limit_s, most_ms / 1000)


@dataclass(slots=True)
class Watch:
    """Waits for the provider on behalf of an attempt: adds up the time and ends it at the deadline."""

    attempt: Attempt
    world: World
    deadline_s: float
    phase: Literal["ttft", "total"] = "total"
    _waiting: int = field(default=0, init=False)
    _since_s: float = field(default=0.0, init=False)

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Time in which several are waited for counts once. Raises ProviderTimeout (504)."""
        if not self._waiting:
            self._since_s = self.world.clock.monotonic_s()
        self._waiting += 1
        try:
            return await self.within(awaitable)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.attempt.provider_wait_s += self.world.clock.monotonic_s() - self._since_s

    async def within(self, awaitable: Awaitable[T]) -> T:
        """As `wait`, for what is the gateway's own work. Raises ProviderTimeout (504)."""
        try:
            until_s = min(self.deadline_s, self.attempt.until_s)
            async with asyncio.timeout(until_s - self.world.clock.monotonic_s()):
                return await awaitable
        except TimeoutError:
            provider = self.attempt.route.provider.name
            raise ProviderTimeout(f"{provider} did not answer in time ({self.phase}).", phase=self.phase) from None
