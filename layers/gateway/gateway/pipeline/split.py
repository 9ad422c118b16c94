"""One call in as many requests as its provider's limits demand: asked a few at a time, and paid for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import add
from typing import Generic, TypeVar

from msgspec import Struct, field

from gateway.model.call import Call
from gateway.model.catalog import ModelFacts
from gateway.model.errors import GatewayError
from gateway.model.http import HttpRequest, Sending
from gateway.model.provider_errors import ProviderBusy
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import account, account_unseen, charged_by, is_free
from gateway.pipeline.ask import ask, ending
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.slots import placed
from gateway.pipeline.watch import Watch
from gateway.ports import World

C = TypeVar("C", bound=Call)
M = TypeVar("M")


class Part(Struct, Generic[C, M]):
    """One request. `sending`: how far it came. `error`: what its answer meant, None also of one that was broken off."""

    call: C
    made: M | None = None
    sending: Sending = field(default_factory=Sending)
    error: GatewayError | None = None

    @property
    def charged(self) -> TokenUsage | None:
        return charged_by(self.error)

    @property
    def is_known(self) -> bool:
        return self.made is not None or self.charged is not None

    @property
    def is_unseen(self) -> bool:
        """Whether its provider may have worked for it although no answer came."""
        return not self.is_known and not is_free(self.error, self.sending)


Check = Callable[[C, M], None]
"""Of an answer that was read. Raises ProviderError (502) for one that does not fit its call."""


def _no_check(_call: C, _made: M) -> None:
    pass


async def ask_parts(
    parts: Sequence[Part[C, M]],
    attempt: Attempt,
    world: World,
    at_once: int,
    check: Check[C, M] = _no_check,
) -> None:
    """Raises the first failure of a part, after which no other is begun. Those that are in flight come to their end:
    they are worked for, and say what they cost. Places that are free it keeps for all its parts; where others have the
    rest, fewer are asked at once. Raises ProviderBusy (503) where it has none.
    """
    watch = Watch.of_whole(parts[0].call, attempt, world)
    with ending(attempt, world.clock):
        reached = await watch.within(contact(attempt, world))
        requests = [attempt.route.wire.render(part.call, reached.target) for part in parts]
        waiting = deque(zip(parts, requests, strict=True))
        failures: list[Exception] = []
        without_place: list[ProviderBusy] = []

        async def ask_some() -> None:
            try:
                async with placed(reached, watch):
                    while waiting:
                        await _ask_one(*waiting.popleft(), reached, watch, check)
            except ProviderBusy as busy:
                without_place.append(busy)
            except Exception as failure:
                waiting.clear()
                failures.append(failure)

        await asyncio.gather(*(ask_some() for _ in range(min(at_once, len(parts)))))
        if failures:
            raise failures[0]
        if waiting:
            raise without_place[0]


async def _ask_one(part: Part[C, M], request: HttpRequest, reached: Contact, watch: Watch, check: Check[C, M]) -> None:
    try:
        part.made = reached.route.wire.parse(await ask(request, reached, watch, part.sending), reached.target)
    except GatewayError as error:
        part.error = error
        raise
    check(part.call, part.made)


@contextmanager
def account_parts(
    parts: Sequence[Part[C, M]],
    attempt: Attempt,
    exchange: Exchange,
    usage_of: Callable[[C, M | None, ModelFacts], TokenUsage],
) -> Iterator[None]:
    """Whatever comes of the whole, the parts that were answered are paid. Where one was not that may have been worked
    for, all counts as unseen.
    """
    try:
        yield
    finally:
        asked = [part for part in parts if part.is_known or part.is_unseen]
        if asked:
            facts = attempt.route.facts
            usage = reduce(add, [part.charged or usage_of(part.call, part.made, facts) for part in asked])
            enter = account_unseen if any(part.is_unseen for part in asked) else account
            enter(attempt, usage, exchange)
