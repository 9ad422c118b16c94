"""The time limits of an attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from math import inf
from typing import Literal, TypeVar

from msgspec import Struct

from gateway.model.call import MAX_BEGIN_MS, Call
from gateway.model.provider_errors import ProviderTimeout
from gateway.model.tenant import Tenant
from gateway.pipeline.exchange import ANSWER_S, Attempt, Exchange
from gateway.pipeline.patience import BEGINNING_S, OWN_S, STREAM_S, WHOLE_S
from gateway.pipeline.retry import LEAST_S, WAIT_S
from gateway.pipeline.timeouts import Limit, said_ms
from gateway.ports import World

T = TypeVar("T")

BEFORE_AND_AFTER_S = 75.0
"""What a request may take besides its attempt: media that have to be fetched, hooks, settling."""
BEGIN_S = 60.0
"""What a provider may take at most until it has taken what it makes in the background."""


def lease_s(call: Call, tenant: Tenant, longest_ms: int = MAX_BEGIN_MS) -> float:
    """After which nobody can be working on a call any more, however often its model is asked again; on one that is to
    run as a job, on making it one.
    """
    if call.async_:
        return ANSWER_S + BEFORE_AND_AFTER_S
    longest_s, again = longest_ms / 1000, tenant.max_retries
    each_s = _allowed_s(call, "total_ms", longest_s)
    lasts_s = each_s if not again else each_s * (1 + again) + WAIT_S
    return min(lasts_s, longest_s) + BEFORE_AND_AFTER_S


def patience_s(call: Call, longest_ms: int, wait_s: int | None, spare_s: float = 0.0) -> float:
    """From its arrival: how long who waits for work that goes on without him does so. `wait_s`: what he prefers.
    `spare_s`: how much of the longest time is kept for something else.
    """
    longest_s = _allowed_s(call, "total_ms", longest_ms / 1000 - spare_s)
    return longest_s if wait_s is None else min(longest_s, float(wait_s))


def has_time(exchange: Exchange, world: World) -> bool:
    """Whether there is any for another attempt. Of less nothing would come but its price."""
    return world.clock.monotonic_s() + LEAST_S <= exchange.ask_until_s


def _allowed_s(call: Call, limit: Limit, left_s: float, chances: int = 1) -> float:
    """Of the time that is left. `chances`: how many models share it, where nobody says how long each may take."""
    said, most = said_ms(call, limit)
    allowed_s = left_s / chances if said is None else min(said / 1000, left_s)
    return allowed_s if most is None else min(allowed_s, most / 1000)


class Watch(Struct):
    """Waits for the provider on behalf of an attempt: adds up the time and ends it at the deadline. `ends_s`: where
    that goes when the first content of a stream comes. By the monotonic clock.
    """

    attempt: Attempt
    world: World
    deadline_s: float
    phase: Literal["ttft", "total"] = "total"
    ends_s: float = inf
    _waiting: int = 0
    _since_s: float = 0.0

    @classmethod
    def of_whole(cls, call: Call, attempt: Attempt, world: World) -> Watch:
        """Of an answer of which nothing is given before its end."""
        began_s, is_own = attempt.started_s, said_ms(call, "total_ms") == (None, None)
        attempt.enough_s = OWN_S if is_own else WHOLE_S
        return cls(attempt, world, began_s + _allowed_s(call, "total_ms", attempt.until_s - began_s, attempt.chances))

    @classmethod
    def of_stream(cls, call: Call, attempt: Attempt, world: World, spare_s: float) -> Watch:
        """Of an answer that is given as it comes. `spare_s`: how much of the time until its end is kept for hooks."""
        began_s, attempt.enough_s = attempt.started_s, STREAM_S
        first_s = _allowed_s(call, "ttft_ms", attempt.until_s - began_s, attempt.chances)
        whole_s = _allowed_s(call, "total_ms", attempt.stream_until_s - spare_s - began_s)
        phase: Literal["ttft", "total"] = "ttft" if first_s < whole_s else "total"
        return cls(attempt, world, began_s + min(first_s, whole_s), phase, began_s + whole_s)

    @classmethod
    def of_beginning(cls, call: Call, attempt: Attempt, world: World) -> Watch:
        """Of work that goes on at its provider, until that has taken it. A job has nobody who waits for it."""
        watch = cls.of_whole(call, attempt, world)
        attempt.enough_s = BEGINNING_S
        if not call.async_:
            watch.deadline_s = min(watch.deadline_s, attempt.started_s + BEGIN_S)
        return watch

    def has_content(self) -> None:
        """To be said of everything that the client is to have: the first of it ends the wait for the first."""
        if self.attempt.ttft_s is None:
            self.attempt.ttft_s = self.world.clock.monotonic_s() - self.attempt.started_s
            if self.phase == "ttft":
                self.deadline_s, self.phase = self.ends_s, "total"

    def check(self) -> None:
        """Before anything is sent. Raises ProviderTimeout (504) where no time is left for it."""
        if self.world.clock.monotonic_s() >= self.deadline_s:
            raise self._over()

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
            async with asyncio.timeout(self.deadline_s - self.world.clock.monotonic_s()):
                return await awaitable
        except TimeoutError:
            raise self._over() from None

    def _over(self) -> ProviderTimeout:
        provider = self.attempt.route.provider.name
        return ProviderTimeout(f"{provider} did not answer in time ({self.phase}).", phase=self.phase)
