"""A list of inputs in as many requests as its provider's limits demand: cut, asked a few at a time, paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.embeddings import Embeddings, EmbeddingsCall, Text
from gateway.model.errors import GatewayError
from gateway.model.http import HttpRequest
from gateway.model.provider_errors import ProviderError, ProviderTimeout
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import account
from gateway.pipeline.ask import ask, ending
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.embeddings_check import estimated_usage, tokens_at_most
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.route import Route
from gateway.pipeline.watch import Watch, total_s
from gateway.ports import World
from gateway.providers.contract import EmbeddingsWire

PARTS_AT_ONCE = 8


@dataclass(slots=True)
class Part:
    """The inputs of one request. `was_asked`: so that it has to be paid, whether or not its answer came."""

    call: EmbeddingsCall
    made: Embeddings | None = None
    was_asked: bool = False

    def usage(self, facts: ModelFacts) -> TokenUsage:
        return (self.made.usage if self.made else None) or estimated_usage(self.call, facts)


def cut(call: EmbeddingsCall, route: Route[EmbeddingsWire]) -> list[Part]:
    """No part has more inputs, or can have more tokens, than one request may; but each has an input."""
    lists = [*_lists(call.inputs, route)]
    if len(lists) == 1:
        return [Part(call)]
    return [Part(msgspec.structs.replace(call, input=inputs)) for inputs in lists]


def _lists(inputs: Sequence[Text], route: Route[EmbeddingsWire]) -> Iterator[list[Text]]:
    facts = route.facts.embedding
    most_inputs = (facts.max_inputs if facts else None) or route.wire.max_inputs or len(inputs)
    most_tokens = facts.max_tokens if facts else None
    part: list[Text] = []
    tokens = 0
    for one in inputs:
        more = tokens_at_most(one) if most_tokens else 0
        if part and (len(part) == most_inputs or (most_tokens and tokens + more > most_tokens)):
            yield part
            part, tokens = [], 0
        part.append(one)
        tokens += more
    yield part


async def ask_parts(parts: Sequence[Part], attempt: Attempt, world: World, spare_s: float) -> None:
    """Raises the first failure of a part, after all others were broken off. `spare_s`: as of `total_s`."""
    watch = Watch(attempt, world, attempt.started_s + total_s(parts[0].call, spare_s=spare_s))
    with ending(attempt, world.clock):
        reached = await watch.within(contact(attempt, world))
        requests = [attempt.route.wire.render(part.call, reached.target) for part in parts]
        waiting = iter(zip(parts, requests, strict=True))
        if len(parts) == 1:
            await _ask_all(waiting, reached, watch)
            return
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
            made = reached.route.wire.parse(await ask(request, reached, watch), reached.target)
            if len(made.vectors) != len(part.call.inputs):
                raise ProviderError(f"{reached.target.provider} answered with another number of embeddings.")
        except ProviderTimeout:
            raise
        except GatewayError:
            part.was_asked = False
            raise
        part.made = made


@contextmanager
def account_parts(parts: Sequence[Part], exchange: Exchange) -> Iterator[None]:
    """Whatever comes of the whole, the parts that were answered are paid, and those that were not waited for."""
    try:
        yield
    finally:
        asked = [part for part in parts if part.was_asked]
        if asked:
            facts = exchange.attempts[-1].route.facts
            account(exchange, reduce(add, [part.usage(facts) for part in asked]))
