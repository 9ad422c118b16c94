"""All models are asked at once. The first that answers counts; the others are broken off, and paid for as such."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TypeVar

from gateway.model.completion import UsageReport
from gateway.model.errors import GatewayError
from gateway.pipeline.candidates import P
from gateway.pipeline.exchange import OVERTAKEN, Attempt, Exchange
from gateway.pipeline.turns import Turns

T = TypeVar("T")


async def first_answer(turns: Turns[P], ask: Callable[[P, Attempt], Awaitable[T]], exchange: Exchange) -> T:
    """Raises what the first of them failed with, when all have."""
    racing = await turns.begin_all()
    tasks = [asyncio.ensure_future(ask(candidate, attempt)) for candidate, attempt in racing]
    won = await _first(tasks, [attempt for _, attempt in racing])
    _note(turns, racing, won, exchange)
    return tasks[won].result()


async def first_stream(
    turns: Turns[P], ask: Callable[[P, Attempt], AsyncGenerator[T, None]], exchange: Exchange
) -> AsyncGenerator[T, None]:
    """The one that says something that counts first, to its end."""
    racing = await turns.begin_all()
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(aclosing(ask(*each))) for each in racing]
        begins = zip(streams, racing, strict=True)
        tasks = [asyncio.ensure_future(until_it_counts(stream, attempt)) for stream, (_, attempt) in begins]
        won = await _first(tasks, [attempt for _, attempt in racing])
        for number, stream in enumerate(streams):
            if number != won:
                await stream.aclose()
        _note(turns, racing, won, exchange)
        for item in tasks[won].result():
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


async def _first(tasks: Sequence[asyncio.Future[T]], attempts: Sequence[Attempt]) -> int:
    """The number of the one that succeeds first; the others have ended when it is told, whatever comes of it."""
    try:
        waiting = {*tasks}
        while waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for number, task in enumerate(tasks):
                if task.done() and not isinstance(task.exception(), GatewayError):
                    return number
        return 0
    finally:
        for task, attempt in zip(tasks, attempts, strict=True):
            attempt.is_overtaken = task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _note(turns: Turns[P], racing: Sequence[tuple[P, Attempt]], won: int, exchange: Exchange) -> None:
    """The one that counts is the request's last attempt, and all together are what it cost."""
    candidate, winner = racing[won]
    exchange.attempts.remove(winner)
    exchange.attempts.append(winner)
    if winner.usage is not None:
        exchange.usage_report = UsageReport.of(winner.usage, exchange.whole_cost_nano_usd)
    asked = next((each for each in racing if each[0].route.model_id == exchange.model_asked), racing[0])
    if asked[1] is not winner:
        code = asked[1].error.code if asked[1].error else OVERTAKEN
        turns.note(asked[0].route.model_id, candidate, code)
