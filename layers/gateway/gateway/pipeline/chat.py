"""A chat completion from key to reply, in reading order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from gateway.hooks.chat_reply import ChatReply
from gateway.hooks.chat_request import ChatRequest
from gateway.model.chat import ChatCall
from gateway.model.completion import Completion, CompletionChunk
from gateway.model.estimate import estimated_usage
from gateway.model.tenant import Principal
from gateway.pipeline.account import account_interrupted, usage_in_the_error
from gateway.pipeline.agree import agreed
from gateway.pipeline.ask import begin
from gateway.pipeline.attempt import longest_s, streamed, whole
from gateway.pipeline.capabilities import check_capabilities
from gateway.pipeline.demand import demand_of
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooked_stream import HookedStream
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.media import with_media
from gateway.pipeline.meters import Demand
from gateway.pipeline.read import read_chat_call
from gateway.pipeline.reasoning import by_the_api_for_tools
from gateway.pipeline.respond import ChunkResponder, account_whole, completion
from gateway.pipeline.route import CHAT, ChatRoute, resolve
from gateway.pipeline.structured import Promise, expect
from gateway.pipeline.tools import with_functions
from gateway.ports import World

Stream = AsyncGenerator[list[CompletionChunk], None]


@dataclass(frozen=True, slots=True)
class ChatPlan:
    """A call as the client asked it and as its provider can be asked, what was promised, and the most it can use."""

    asked: ChatCall
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

    async def plan(call: ChatCall, principal: Principal) -> ChatPlan:
        return await _plan(call, principal, world)

    planned = await enter(inbound.authorization, "chat", read, plan, exchange, world)
    chain = Chain(exchange, world)
    request = ChatRequest(planned.asked, partial(read_chat_call, "application/json"))
    planned = await agreed(planned, request, plan, chain, exchange, world)
    exchange.schemas_used = planned.promise.names.used
    call = await with_media(planned.call, planned.route, exchange, world)
    check_capabilities(call, planned.route)  # again, for what a file turned out to be
    attempt = begin(planned.route, exchange, world.clock)
    if call.stream:
        exchange.is_held_back = chain.enforces_replies
        return _stream(call, planned.promise, chain, exchange, world)
    with account_interrupted(lambda: estimated_usage(call, 0), exchange):
        reply = await whole(call, attempt, world, chain.spare_s)
    usage = account_whole(reply, call, exchange)
    with usage_in_the_error(usage):
        said = await chain.after(ChatReply(planned.promise.shaped(reply), planned.route.model_id))
        planned.promise.check(said.reply)
    return completion(said.reply, usage, exchange, world.clock)


async def _plan(asked: ChatCall, principal: Principal, world: World) -> ChatPlan:
    route = resolve(CHAT, asked.model, principal, world.catalog, world.clock.now_s())
    call, names = await with_functions(asked, principal.tenant.id, world.types)
    route = by_the_api_for_tools(call, route)
    call, expectation = expect(call, route)
    check_capabilities(call, route)
    call, demand = demand_of(call, route, principal, longest_s(call))
    return ChatPlan(asked, call, route, Promise(names, expectation), demand)


async def _stream(call: ChatCall, promise: Promise, chain: Chain, exchange: Exchange, world: World) -> Stream:
    responder = ChunkResponder(call, promise, exchange, world.clock)
    hooked = HookedStream(chain, exchange.attempts[-1].route.model_id)
    try:
        with account_interrupted(lambda: estimated_usage(call, 0), exchange):
            async with aclosing(streamed(call, exchange.attempts[-1], world, chain.spare_s)) as arriving:
                async for chunks in arriving:
                    if ready := responder.take(hooked.take(responder.read(chunks))):
                        yield ready
            usage = responder.account()
            with usage_in_the_error(usage):
                rest = responder.take(await hooked.finish())
                yield [*rest, *responder.finish(usage)]
    finally:
        responder.settle()
