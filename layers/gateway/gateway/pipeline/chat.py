"""A chat completion from key to reply, in reading order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from gateway.model.chat import ChatCall
from gateway.model.completion import Completion, CompletionChunk
from gateway.model.tenant import Principal
from gateway.pipeline.attempt import longest_s, streamed, whole
from gateway.pipeline.capabilities import check_capabilities
from gateway.pipeline.demand import demand_of
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.media import with_media
from gateway.pipeline.meters import Demand
from gateway.pipeline.read import read_chat_call
from gateway.pipeline.respond import ChunkResponder, account_interrupted, completion
from gateway.pipeline.route import Route, resolve
from gateway.pipeline.structured import Promise, expect
from gateway.pipeline.tools import with_functions
from gateway.ports import World

Stream = AsyncGenerator[list[CompletionChunk], None]


@dataclass(frozen=True, slots=True)
class Inbound:
    """What the front door hands over: two headers and the body as received."""

    authorization: str | None
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ChatPlan:
    """A call as its provider can be asked, what was promised to the client, and the most it can use."""

    call: ChatCall
    route: Route
    promise: Promise
    demand: Demand


async def run(inbound: Inbound, exchange: Exchange, world: World) -> Completion | Stream:
    """The reply, or the stream of it, which does nothing before its first item is asked for.

    Raises GatewayError; a stream raises it from its iteration, also in the middle.
    """

    def read() -> ChatCall:
        call = read_chat_call(inbound.content_type, inbound.body)
        exchange.model_requested, exchange.stream = call.model, bool(call.stream)
        exchange.conversation_id = (call.metadata or {}).get("conversation_id")
        return call

    async def plan(call: ChatCall, principal: Principal) -> ChatPlan:
        return await _plan(call, principal, world)

    planned = await enter(inbound.authorization, "chat", read, plan, exchange, world)
    exchange.schemas_used = planned.promise.names.used
    call = await with_media(planned.call, planned.route, exchange, world)
    check_capabilities(call, planned.route)  # again, for what a file turned out to be
    attempt = Attempt(planned.route, world.clock.monotonic_s(), exchange.trace.headers())
    exchange.attempts.append(attempt)
    if call.stream:
        return _stream(call, planned.promise, exchange, world)
    with account_interrupted(call, exchange):
        reply = await whole(call, attempt, world)
    return completion(reply, call, planned.promise, exchange, world.clock)


async def _plan(call: ChatCall, principal: Principal, world: World) -> ChatPlan:
    route = resolve(call.model, principal, world.catalog, world.clock.now_s())
    call, names = await with_functions(call, principal.tenant.id, world.types)
    call, expectation = expect(call, route)
    check_capabilities(call, route)
    call, demand = demand_of(call, route, principal, longest_s(call))
    return ChatPlan(call, route, Promise(names, expectation), demand)


async def _stream(call: ChatCall, promise: Promise, exchange: Exchange, world: World) -> Stream:
    responder = ChunkResponder(call, promise, exchange, world.clock)
    try:
        with account_interrupted(call, exchange):
            async with aclosing(streamed(call, exchange.attempts[-1], world)) as arriving:
                async for chunks in arriving:
                    if ready := responder.take(chunks):
                        yield ready
            yield responder.finish()
    finally:
        responder.settle()
