"""A chat completion from key to reply, in reading order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from gateway.model.chat import ChatCall
from gateway.model.completion import Completion, CompletionChunk
from gateway.pipeline.attempt import streamed, whole
from gateway.pipeline.authenticate import authenticate
from gateway.pipeline.capabilities import check_capabilities
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.media import with_media
from gateway.pipeline.read import read_chat_call
from gateway.pipeline.respond import ChunkResponder, completion
from gateway.pipeline.route import resolve
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


async def run(inbound: Inbound, exchange: Exchange, world: World) -> Completion | Stream:
    """The reply, or the stream of it, which does nothing before its first item is asked for.

    Raises GatewayError; a stream raises it from its iteration, also in the middle.
    """
    exchange.principal = await authenticate(inbound.authorization, world)
    call = read_chat_call(inbound.content_type, inbound.body)
    exchange.model_requested, exchange.stream = call.model, bool(call.stream)
    exchange.conversation_id = (call.metadata or {}).get("conversation_id")
    route = resolve(call.model, exchange.principal.tenant, world.catalog, world.clock.now_s())
    call, names = await with_functions(call, exchange.principal.tenant.id, world.types)
    call, expectation = expect(call, route)
    promise = Promise(names, expectation)
    exchange.schemas_used = names.used
    check_capabilities(call, route)
    call = await with_media(call, route, exchange, world)
    check_capabilities(call, route)  # again, for what a file turned out to be
    attempt = Attempt(route, started_s=world.clock.monotonic_s())
    exchange.attempts.append(attempt)
    if call.stream:
        return _stream(call, promise, exchange, world)
    reply = await whole(call, attempt, world)
    return completion(reply, call, promise, exchange, world.clock)


async def _stream(call: ChatCall, promise: Promise, exchange: Exchange, world: World) -> Stream:
    responder = ChunkResponder(call, promise, exchange, world.clock)
    try:
        async with aclosing(streamed(call, exchange.attempts[-1], world)) as arriving:
            async for chunks in arriving:
                if ready := responder.take(chunks):
                    yield ready
        yield responder.finish()
    finally:
        responder.settle()
