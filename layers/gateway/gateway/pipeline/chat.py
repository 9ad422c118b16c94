"""A chat completion from key to reply, in reading order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from gateway.hooks.chat_reply import ChatReply
from gateway.hooks.chat_request import ChatRequest
from gateway.model.call import MAX_BEGIN_MS, MAX_STREAM_MS
from gateway.model.chat import ChatCall
from gateway.model.completion import Completion, CompletionChunk
from gateway.model.errors import CapabilityNotSupported, GatewayError
from gateway.model.estimate import estimated_usage
from gateway.model.job import Job
from gateway.model.reply import Reply
from gateway.model.tenant import Principal
from gateway.pipeline.account import Counted, account_interrupted
from gateway.pipeline.agree import agreed
from gateway.pipeline.at_once import at_once
from gateway.pipeline.attempt import streamed, whole
from gateway.pipeline.background import Background, Begun, handed_over, in_the_background
from gateway.pipeline.by_chat import ByChat, planned_by_chat
from gateway.pipeline.candidates import Candidates, candidates_of
from gateway.pipeline.capabilities import check_capabilities
from gateway.pipeline.client_places import in_the_clients_places
from gateway.pipeline.demand import demand_of
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.fallback import answer_of, stream_of
from gateway.pipeline.hooked_stream import HookedStream
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.media import with_media
from gateway.pipeline.meters import Demand
from gateway.pipeline.provider_urls import check_provider_urls
from gateway.pipeline.read import read_chat_call
from gateway.pipeline.readable import by_the_api_for_documents
from gateway.pipeline.reasoning import by_the_api_for_tools
from gateway.pipeline.reply_media import with_chunk_media_kept, with_earlier_media, with_media_kept
from gateway.pipeline.respond import ChunkResponder, account_whole, completion
from gateway.pipeline.route import CHAT, ChatRoute, resolve
from gateway.pipeline.structured import Promise, expect
from gateway.pipeline.timeouts import timed
from gateway.pipeline.tools import with_functions
from gateway.pipeline.turns import Readying
from gateway.pipeline.watch import lease_s
from gateway.ports import World

JSON = "application/json"
Stream = AsyncGenerator[list[CompletionChunk], None]
ChatPlans: TypeAlias = Candidates["ChatPlan"]


class ChatPlan(Struct, frozen=True):
    """A call as the client asked it and as its provider can be asked, what was promised, and the most it can use."""

    asked: ChatCall
    call: ChatCall
    route: ChatRoute
    promise: Promise
    demand: Demand


async def run(inbound: Inbound, exchange: Exchange, world: World) -> Completion | Stream | Job:
    """The reply, or the stream of it, which does nothing before its first item is asked for; or the job it became.

    Raises GatewayError; a stream raises it from its iteration, also in the middle.
    """

    async def plan(call: ChatCall, principal: Principal) -> ChatPlans | ByChat:
        return await plan_chat(call, principal, world)

    planned = await enter(inbound.authorization, "chat", partial(_read, inbound, exchange), plan, exchange, world)
    if (job := await accepted(_asked(planned), inbound, exchange, world)) is not None:
        return job
    chain = Chain(exchange, world)
    planned = await agreed(planned, _request(planned), plan, chain, exchange, world)
    if isinstance(planned, ByChat):
        return await _by_chat(planned, chain, exchange, world)
    return await _chat(planned, chain, exchange, world)


async def made_ready(inbound: Inbound, exchange: Exchange, world: World) -> tuple[ChatPlan, Begun]:
    """As its provider is given it in a batch, and what is needed to give its reply later. Raises GatewayError."""

    async def plan(call: ChatCall, principal: Principal) -> ChatPlans | ByChat:
        return await plan_chat(call, principal, world, of_batch=True)

    planned = await enter(inbound.authorization, "chat", partial(_read, inbound, exchange), plan, exchange, world)
    chain = Chain(exchange, world)
    planned = await agreed(planned, _request(planned), plan, chain, exchange, world)
    if isinstance(planned, ByChat):
        raise CapabilityNotSupported("No batch of its provider has this.", param="model")
    ready = await _ready(exchange, world, planned.asked)
    await exchange.left()
    return ready, Begun.of(ready.asked, ready.promise, chain.masking, exchange)


async def given_late(kept: Begun, reply: Reply, exchange: Exchange, world: World) -> Completion:
    """The completion that a call would have had whose reply came when nobody waited for it any more, or ever did.

    Raises GatewayError; what the reply cost is accounted for before.
    """
    call = read_chat_call(JSON, bytes(kept.asked))
    chain = kept.goes_on(exchange, world)
    exchange.schemas_used = kept.promise.names.used
    _account(reply, call, exchange.attempts[-1], exchange)
    return await _agreed(kept.promise, reply, chain, exchange, world)


def _read(inbound: Inbound, exchange: Exchange) -> ChatCall:
    call = read_chat_call(inbound.content_type, inbound.body)
    exchange.note(call, stream=bool(call.stream))
    return call


def _asked(planned: ChatPlans | ByChat) -> ChatCall:
    return planned.asked if isinstance(planned, ByChat) else planned.asked.asked


def _request(planned: ChatPlans | ByChat) -> ChatRequest:
    return ChatRequest(_asked(planned), partial(read_chat_call, JSON))


async def _chat(planned: ChatPlans, chain: Chain, exchange: Exchange, world: World) -> Completion | Stream | Job:
    ready: Readying[ChatPlan] = partial(_ready, exchange, world)
    if planned.asked.call.stream:
        exchange.is_held_back = chain.enforces_replies
        return await stream_of(planned, partial(_stream, chain, exchange, world), exchange, world, ready)
    is_in_the_background = any(one.route.facts.background for one in planned.all) and exchange.batch_id is None
    if planned.strategy == "sequential" and is_in_the_background:
        return await _by_one_in_the_background(planned, ready, chain, exchange, world)
    ask = partial(_whole, exchange, world)
    promise, reply = await answer_of(planned, ask, exchange, world, ready, chain.spare_s)
    return await _agreed(promise, reply, chain, exchange, world)


async def _by_one_in_the_background(
    planned: ChatPlans, ready: Readying[ChatPlan], chain: Chain, exchange: Exchange, world: World
) -> Completion | Job:
    """Or by another one in its turn. What the caller does not wait for goes on as his job."""
    background = Background(chain, exchange, world)
    try:
        async with background:
            ask = partial(_reply_or_job, background, chain, exchange, world)
            promise, reply = await answer_of(planned, ask, exchange, world, ready, chain.spare_s)
        completion = await _agreed(promise, reply, chain, exchange, world) if isinstance(reply, Reply) else None
    except GatewayError:
        background.ends()
        raise
    if isinstance(reply, Job):
        return reply
    if completion is None:
        return await handed_over(exchange, world)
    background.ends()
    return completion


async def _reply_or_job(
    background: Background, chain: Chain, exchange: Exchange, world: World, planned: ChatPlan, attempt: Attempt
) -> tuple[Promise, Reply | Job | None]:
    """What one model comes to, in the background where that is how it answers."""
    call, promise = planned.call, planned.promise
    route = in_the_background(call, planned.route)
    if route is None:
        await background.is_passed_on()
        return await _whole(exchange, world, planned, attempt)
    attempt.route = route
    kept = Begun.of(planned.asked, promise, chain.masking, exchange)
    with in_the_clients_places(promise.messages_added):
        reply = await background.reply(call, kept)
    if isinstance(reply, Reply):
        _account(reply, call, attempt, exchange)
    return promise, reply


def _account(reply: Reply, call: ChatCall, attempt: Attempt, exchange: Exchange) -> None:
    """Of a reply that was looked for until it was there."""
    attempt.answered.take(reply)
    account_whole(reply, call, attempt, exchange)


async def plan_chat(
    asked: ChatCall, principal: Principal, world: World, *, of_batch: bool = False
) -> ChatPlans | ByChat:
    """`of_batch`: as its provider is given it in a batch, at the price of that."""
    if (chosen := await planned_by_chat(asked, principal, world)) is not None:
        return chosen

    async def plan(call: ChatCall) -> ChatPlan:
        return await _planned(asked, call, principal, world, of_batch=of_batch)

    return await candidates_of(asked, principal.tenant, world, plan)


async def _planned(asked: ChatCall, call: ChatCall, principal: Principal, world: World, *, of_batch: bool) -> ChatPlan:
    """`call`: as it was asked, but for the model."""
    route = resolve(CHAT, call.model, principal, world.catalog, world.clock.now_s())
    call, names = await with_functions(call, principal.tenant.id, world.types)
    call = timed(call, route.model_id, principal.tenant)
    route = by_the_api_for_tools(call, route)
    call, expectation = expect(call, route)
    promise = Promise(names, expectation)
    lease = lease_s(call, principal.tenant, MAX_STREAM_MS if call.stream else MAX_BEGIN_MS)
    with in_the_clients_places(promise.messages_added):
        check_capabilities(call, route)
        check_provider_urls(call, route, principal.tenant)
        call, demand = demand_of(call, route, principal, lease, of_batch=of_batch)
    return ChatPlan(asked, call, route, promise, demand)


async def _ready(exchange: Exchange, world: World, planned: ChatPlan) -> ChatPlan:
    """With its media, as its provider takes them."""
    exchange.schemas_used = planned.promise.names.used
    with in_the_clients_places(planned.promise.messages_added):
        call = await with_earlier_media(planned.call, exchange, world)
        call = await with_media(call, planned.route, exchange, world)
        route = by_the_api_for_documents(call, planned.route)
        check_capabilities(call, route, are_read=True)  # again, for what a file turned out to be
    return replace(planned, call=call, route=route)


async def _whole(exchange: Exchange, world: World, planned: ChatPlan, attempt: Attempt) -> tuple[Promise, Reply]:
    call = planned.call
    with (
        in_the_clients_places(planned.promise.messages_added),
        account_interrupted(attempt, lambda: Counted(estimated_usage(call, 0)), exchange),
    ):
        reply = await whole(call, attempt, world)
    account_whole(reply, call, attempt, exchange)
    return planned.promise, reply


async def _agreed(promise: Promise, reply: Reply, chain: Chain, exchange: Exchange, world: World) -> Completion:
    attempt = exchange.attempts[-1]
    with in_the_clients_places(promise.messages_added):
        said = await chain.after(ChatReply(promise.shaped(reply), attempt.route.model_id))
        promise.check(said.reply)
        kept = await with_media_kept(said.reply, attempt, exchange, world)
    return _completion(kept, exchange, world)


async def _by_chat(chosen: ByChat, chain: Chain, exchange: Exchange, world: World) -> Completion | Stream:
    """What is made is kept after the hooks have seen it: of a reply that they block nothing stays."""
    reply = await chosen.planned.made(chain, exchange, world)
    said = await chain.after(ChatReply(reply, exchange.attempts[-1].route.model_id))
    kept = await with_media_kept(said.reply, exchange.attempts[-1], exchange, world)
    made = _completion(kept, exchange, world)
    return at_once(made, chosen.asked) if chosen.asked.stream else made


def _completion(reply: Reply, exchange: Exchange, world: World) -> Completion:
    assert exchange.usage_report is not None  # noqa: S101 - what was made is accounted for
    return completion(reply, exchange.usage_report, exchange, world.clock)


async def _stream(chain: Chain, exchange: Exchange, world: World, planned: ChatPlan, attempt: Attempt) -> Stream:
    """One list for each that comes, also where nothing of it may be sent yet."""
    call, promise = planned.call, planned.promise
    responder = ChunkResponder(call, promise, attempt, exchange, world.clock)
    hooked = HookedStream(chain, attempt.route.model_id)
    with in_the_clients_places(promise.messages_added), account_interrupted(attempt, responder.counted, exchange):
        async with aclosing(streamed(call, attempt, world, chain.spare_s)) as arriving:
            async for chunks in arriving:
                kept = await with_chunk_media_kept(chunks, attempt, exchange, world)
                yield responder.take(hooked.take(responder.read(kept)))
        await attempt.has_answered()
    usage = responder.account()
    rest = responder.take(await hooked.finish())
    yield [*rest, *responder.finish(usage)]
