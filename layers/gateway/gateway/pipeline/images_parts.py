"""Images in as many requests as their provider's limit demands: cut, asked a few at a time, paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add

from msgspec.structs import replace

from gateway.model.errors import GatewayError, ProviderTimeout
from gateway.model.http import HttpRequest
from gateway.model.images import Images, ImagesCall
from gateway.pipeline.account import account
from gateway.pipeline.ask import ask, ending
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.images_usage import usage_of
from gateway.pipeline.route import Route
from gateway.pipeline.watch import Watch, total_s
from gateway.ports import World
from gateway.providers.contract import ImagesWire

PARTS_AT_ONCE = 4


@dataclass(slots=True)
class Part:
    """One request. `was_asked`: so that it has to be paid, whether or not its answer came."""

    call: ImagesCall
    made: Images | None = None
    was_asked: bool = False


def images_of_each(call: ImagesCall, route: Route[ImagesWire]) -> list[int]:
    """How many images each request asks for."""
    facts = route.facts.image
    most = (facts.max_images if facts else None) or route.wire.max_images
    whole, rest = divmod(call.n or 1, most)
    return [most] * whole + [rest] * bool(rest)


def cut(call: ImagesCall, route: Route[ImagesWire]) -> list[Part]:
    return [Part(replace(call, n=images)) for images in images_of_each(call, route)]


async def ask_parts(parts: Sequence[Part], attempt: Attempt, world: World) -> None:
    """Raises the first failure of a part, after all others were broken off."""
    watch = Watch(attempt, world, attempt.started_s + total_s(parts[0].call))
    with ending(attempt, world.clock):
        reached = await watch.within(contact(attempt.route, world))
        requests = [attempt.route.wire.render(part.call, reached.target) for part in parts]
        waiting = iter(zip(parts, requests, strict=True))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARTS_AT_ONCE, len(parts))):
                    group.create_task(_ask_all(waiting, reached, watch))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None


async def _ask_all(waiting: Iterator[tuple[Part, HttpRequest]], reached: Contact, watch: Watch) -> None:
    for part, request in waiting:
        part.was_asked = True
        try:
            part.made = reached.route.wire.parse(await ask(request, reached, watch), reached.target)
        except ProviderTimeout:
            raise
        except GatewayError:
            part.was_asked = False
            raise


@contextmanager
def account_parts(parts: Sequence[Part], exchange: Exchange) -> Iterator[None]:
    """Whatever comes of the whole, the parts that were answered are paid, and those that were not waited for."""
    try:
        yield
    finally:
        asked = [part for part in parts if part.was_asked]
        if asked:
            facts = exchange.attempts[-1].route.facts
            account(exchange, reduce(add, [usage_of(part.call, part.made, facts) for part in asked]))
