"""All models are asked at once. The first that answers counts; the others are broken off, and paid for as such."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Any, Generic, TypeVar

from gateway.model.completion import UsageReport
from gateway.model.errors import GatewayError
from gateway.model.provider_errors import ProviderFailure
from gateway.pipeline.candidates import P
from gateway.pipeline.exchange import OVERTAKEN, Attempt, Exchange
from gateway.pipeline.route import none_of
from gateway.pipeline.turns import Turns

T = TypeVar("T")


async def first_answer(turns: Turns[P], ask: Callable[[P, Attempt], Awaitable[T]], exchange: Exchange) -> T:
    """Raises what the model that was asked for failed with when all have, and at once what is nobody's failure."""
    racing = await turns.begin_all()
    _, answer = await Race(turns, racing, exchange).run([partial(ask, *each) for each in racing])
    return answer


async def first_stream(
    turns: Turns[P], ask: Callable[[P, Attempt], AsyncGenerator[T, None]], exchange: Exchange
) -> AsyncGenerator[T, None]:
    """The one that says something that counts first, to its end; of streams that are held back the first that is whole.
    Raises as `first_answer`.
    """
    racing = await turns.begin_all()
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(aclosing(ask(*each))) for each in racing]
        counts = until_it_is_given if exchange.is_held_back else until_it_counts
        begins = [partial(counts, stream, each[1]) for stream, each in zip(streams, racing, strict=True)]
        won, begun = await Race(turns, racing, exchange).run(begins)
        for item in begun:
            yield item
        async for item in streams[won]:
            yield item


async def until_it_counts(arriving: AsyncGenerator[T, None], attempt: Attempt) -> list[T]:
    """All that comes until the provider has said something, and that."""
    kept: list[T] = []
    async for item in arriving:
        kept.append(item)
        if attempt.ttft_s is not None:
            break
    return kept


async def until_it_is_given(arriving: AsyncGenerator[T, None], _attempt: Attempt) -> list[T]:
    """The first item that is for anybody."""
    async for item in arriving:
        if item:
            return [item]
    return []


class Race(Generic[P]):
    """Whoever wins breaks the others off in the same moment, so that no other can: what they do is not done any more,
    whether that is to ask a hook or to store a recording.
    """

    def __init__(self, turns: Turns[P], racing: Sequence[tuple[P, Attempt]], exchange: Exchange) -> None:
        self._turns, self._racing, self._exchange = turns, racing, exchange
        self._tasks: list[asyncio.Task[Any]] = []
        self._winner: int | None = None
        models = [candidate.route.model_id for candidate, _ in racing]
        self._asked = models.index(exchange.model_asked) if exchange.model_asked in models else 0
        for number, (_, attempt) in enumerate(racing):
            attempt.wins = partial(self._won_by, number)

    async def run(self, asking: Sequence[Callable[[], Awaitable[T]]]) -> tuple[int, T]:
        """The number of the winner, and what it says. However this ends, all of them have ended then."""
        self._tasks = [asyncio.ensure_future(self._answered(*each)) for each in enumerate(asking)]
        try:
            number = await self._ended_by()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, attempt in self._racing:
            if attempt.is_overtaken or attempt.error is not None:
                await self._turns.drop(attempt)
        return number, self._tasks[number].result()

    async def _answered(self, number: int, ask: Callable[[], Awaitable[T]]) -> T:
        said = await ask()
        await self._won_by(number)
        return said

    async def _ended_by(self) -> int:
        """By the winner, by what is nobody's failure, or by the last that failed: then it is the one asked for, or a
        provider that failed where that one was never asked. Raises `none_of` where nobody was.
        """
        waiting = {*self._tasks}
        while waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for number, task in enumerate(self._tasks):
                if task.done() and self._ends(number, task):
                    await self._break_off_all_but(number)
                    return number
        errors = [task.exception() for task in self._tasks]
        failed = [number for number, error in enumerate(errors) if isinstance(error, ProviderFailure)]
        if not failed:
            models = [candidate.route.model_id for candidate, _ in self._racing]
            each = zip(models, errors, strict=True)
            refusals = [(model_id, error) for model_id, error in each if isinstance(error, GatewayError)]
            raise none_of(self._exchange.model_requested or "", refusals)
        return self._asked if self._asked in failed else failed[0]

    def _ends(self, number: int, task: asyncio.Task[Any]) -> bool:
        if self._winner is not None:
            return number == self._winner
        error, (candidate, _) = task.exception(), self._racing[number]
        if not isinstance(error, GatewayError):
            return True
        return not isinstance(error, ProviderFailure) and not self._turns.is_passed_on(error, candidate.route.model_id)

    async def _won_by(self, number: int) -> None:
        """The one that counts is the request's last attempt, and all together are what it cost."""
        if self._winner is not None:
            return
        self._winner = number
        await self._break_off_all_but(number)
        candidate, winner = self._racing[number]
        if winner.usage is not None:
            self._exchange.usage_report = UsageReport.of(winner.usage, self._exchange.whole_cost_nano_usd)
        other, asked = self._racing[self._asked]
        if asked is not winner:
            self._turns.note(other.route.model_id, candidate, asked.error.code if asked.error else OVERTAKEN)

    async def _break_off_all_but(self, number: int) -> None:
        others = [task for task in self._tasks if task is not self._tasks[number] and not task.done()]
        for task, (_, attempt) in zip(self._tasks, self._racing, strict=True):
            if task in others:
                attempt.is_overtaken = attempt.error is None
                task.cancel()
        _, ending = self._racing[number]
        others_first = [attempt for attempt in self._exchange.attempts if attempt is not ending]
        self._exchange.attempts[:] = [*others_first, ending]
        await asyncio.gather(*others, return_exceptions=True)
