"""A chat completion from key to reply, in reading order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from gateway.model.chat import ChatCall
from gateway.model.completion import Completion, CompletionChunk
from gateway.model.estimate import estimated_usage
from gateway.model.tenant import Principal
from gateway.pipeline.account import account_interrupted
from gateway.pipeline.ask import begin
from gateway.pipeline.at_once import at_once
from gateway.pipeline.attempt import longest_s, streamed, whole
from gateway.pipeline.by_chat import ByChat, planned_by_chat
from gateway.pipeline.capabilities import check_capabilities
from gateway.pipeline.demand import demand_of
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.media import with_media
from gateway.pipeline.meters import Demand
from gateway.pipeline.read import read_chat_call
from gateway.pipeline.reply_media import with_chunk_media_kept, with_earlier_media, with_media_kept
from gateway.pipeline.respond import ChunkResponder, account_whole, completion, usage_in_the_error
from gateway.pipeline.route import CHAT, ChatRoute, resolve
from gateway.pipeline.structured import Promise, expect
from gateway.pipeline.tools import with_functions
from gateway.ports import World

Stream = AsyncGenerator[list[CompletionChunk], None]


@dataclass(frozen=True, slots=True)
class ChatPlan:
    """A call as its provider can be asked, what was promised to the client, and the most it can use."""

    call: ChatCall
    route: ChatRoute
    promise: Promise
    demand: Demand


async def run(inbound: Inbound, exchange: Exchange, world: World) -> Completion | Stream:
    """The reply, or the stream of it, which does nothing before its first item is asked for.

    Raises GatewayError; a stream raises it from its iteration, also in the middle.
    """

    def read() -> ChatCall:
        call = read_chat_call(inbound.content_type, inbound.body)
        exchange.note(call, stream=bool(call.stream))
        return call

    async def plan(call: ChatCall, principal: Principal) -> ChatPlan | ByChat:
        return await _plan(call, principal, world)

    planned = await enter(inbound.authorization, "chat", read, plan, exchange, world)
    if isinstance(planned, ByChat):
        return await _by_chat(planned, exchange, world)
    exchange.schemas_used = planned.promise.names.used
    call = await with_earlier_media(planned.call, exchange, world)
    call = await with_media(call, planned.route, exchange, world)
    check_capabilities(call, planned.route)  # again, for what a file turned out to be
    attempt = begin(planned.route, exchange, world.clock)
    if call.stream:
        return _stream(call, planned.promise, exchange, world)
    with account_interrupted(lambda: estimated_usage(call, 0), exchange):
        reply = await whole(call, attempt, world)
    usage = account_whole(reply, call, exchange)
    with usage_in_the_error(usage):
        reply = planned.promise.kept_by(reply)
    reply = await with_media_kept(reply, exchange, world)
    return completion(reply, usage, exchange, world.clock)


async def _plan(call: ChatCall, principal: Principal, world: World) -> ChatPlan | ByChat:
    if (planned := planned_by_chat(call, principal, world)) is not None:
        return planned
    route = resolve(CHAT, call.model, principal, world.catalog, world.clock.now_s())
    call, names = await with_functions(call, principal.tenant.id, world.types)
    call, expectation = expect(call, route)
    check_capabilities(call, route)
    call, demand = demand_of(call, route, principal, longest_s(call))
    return ChatPlan(call, route, Promise(names, expectation), demand)


async def _by_chat(chosen: ByChat, exchange: Exchange, world: World) -> Completion | Stream:
    reply = await chosen.planned.made(exchange, world)
    assert exchange.usage_report is not None  # noqa: S101 - what was made is accounted for
    whole_reply = completion(reply, exchange.usage_report, exchange, world.clock)
    return at_once(whole_reply, chosen.asked) if chosen.asked.stream else whole_reply


async def _stream(call: ChatCall, promise: Promise, exchange: Exchange, world: World) -> Stream:
    responder = ChunkResponder(call, promise, exchange, world.clock)
    try:
        with account_interrupted(lambda: estimated_usage(call, 0), exchange):
            async with aclosing(streamed(call, exchange.attempts[-1], world)) as arriving:
                async for chunks in arriving:
                    kept = await with_chunk_media_kept(chunks, exchange, world)
                    if ready := responder.take(kept):
                        yield ready
            yield responder.finish()
    finally:
        responder.settle()
