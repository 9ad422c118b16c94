"""Models are asked until one answers: the one place where another is asked in place of one that failed.

Each capability brings what asks one model. The next one is asked when a provider fails: no connection, no answer in
time, an answer that says it cannot, or that it does not let the gateway in. Not when a provider finds the request
itself wrong, and never once the client has something of an answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias, TypeVar

from gateway.model.errors import GatewayError
from gateway.pipeline.candidates import Candidates, P
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.race import first_answer, first_stream, until_it_counts
from gateway.pipeline.turns import Readying, Turns
from gateway.ports import World

T = TypeVar("T")
S = TypeVar("S")
Asking: TypeAlias = Callable[[P, Attempt], Awaitable[T]]
Streaming: TypeAlias = Callable[[P, Attempt], AsyncGenerator[S, None]]


async def as_planned(candidate: P) -> P:
    return candidate


async def answer_of(
    candidates: Candidates[P],
    ask: Asking[P, T],
    exchange: Exchange,
    world: World,
    ready: Readying[P] = as_planned,
) -> T:
    """What the first model that answers says. `ready`: brings what one of them has to be given before it is asked.

    Raises what the last one failed with, and what `ready` does for the first.
    """
    turns = await Turns.of(candidates, ready, exchange, world)
    if candidates.strategy == "parallel":
        return await first_answer(turns, ask, exchange)
    while True:
        attempt = turns.begin()
        try:
            return await ask(turns.candidate, attempt)
        except GatewayError as error:
            await turns.after(error)


async def stream_of(
    candidates: Candidates[P],
    ask: Streaming[P, S],
    exchange: Exchange,
    world: World,
    ready: Readying[P] = as_planned,
) -> AsyncGenerator[S, None]:
    """As `answer_of`, item by item; nothing is asked before the first of them is. Nothing is given before a provider
    has said something that counts, and after that no other is asked. Of a stream that is held back the client has
    nothing until its end. Empty items are for nobody.
    """
    turns = await Turns.of(candidates, ready, exchange, world)
    if candidates.strategy == "parallel":
        return first_stream(turns, ask, exchange)
    attempt = turns.begin()
    return _stream(turns, attempt, ask)


async def _stream(turns: Turns[P], attempt: Attempt, ask: Streaming[P, S]) -> AsyncGenerator[S, None]:
    is_given = False
    while True:
        try:
            async with aclosing(ask(turns.candidate, attempt)) as arriving:
                for item in filter(None, await until_it_counts(arriving, attempt)):
                    is_given = True
                    yield item
                async for item in arriving:
                    is_given = is_given or bool(item)
                    yield item
        except GatewayError as error:
            if is_given:
                raise
            await turns.after(error)
            attempt = turns.begin()
        else:
            return
