"""Step 4: one call to one provider, whole or streamed, inside its time limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AsyncExitStack, aclosing

from gateway.model.chat import MAX_BEGIN_MS, MAX_STREAM_MS, ChatCall, Timeouts
from gateway.model.errors import GatewayError
from gateway.model.http import HttpRequest
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Chunk, Delta, Reply
from gateway.pipeline.contact import contact
from gateway.pipeline.exchange import Attempt
from gateway.pipeline.upload import with_uploads
from gateway.pipeline.watch import Watch
from gateway.ports import Incoming, World
from gateway.providers.contract import Target

NO_TIMEOUTS = Timeouts()
BEFORE_AND_AFTER_S = 75.0
"""What a request may take besides its attempt: media that have to be fetched, hooks, settling."""


def longest_s(call: ChatCall) -> float:
    """After which nobody can be working on a call any more."""
    limits = call.timeouts or NO_TIMEOUTS
    return _seconds(limits.total_ms, MAX_STREAM_MS if call.stream else MAX_BEGIN_MS) + BEFORE_AND_AFTER_S


async def whole(call: ChatCall, attempt: Attempt, world: World, spare_s: float = 0.0) -> Reply:
    """The provider's complete reply. Raises ProviderFailure and CapabilityNotSupported.

    `spare_s`: how much of the longest time is needed for something else.
    """
    limits = call.timeouts or NO_TIMEOUTS
    total_s = _seconds(limits.total_ms, MAX_BEGIN_MS, spare_s)
    watch = Watch(attempt, world, attempt.started_s + total_s, "total")
    try:
        request, target = await _prepare(call, watch)
        async with AsyncExitStack() as stack:
            incoming = await watch.wait(stack.enter_async_context(world.outbound.open(request)))
            response = await watch.wait(incoming.whole())
        if not _ok(response.status):
            raise attempt.route.wire.fail(response, target)
        reply = attempt.route.wire.parse(response, target)
    except GatewayError as error:
        attempt.error = error
        raise
    else:
        attempt.answered.take(reply)
        return reply
    finally:
        attempt.ended_s = world.clock.monotonic_s()


async def streamed(
    call: ChatCall, attempt: Attempt, world: World, spare_s: float = 0.0
) -> AsyncGenerator[list[Chunk], None]:
    """The provider's chunks as they come, those of one network read together. Raises as `whole`, also in the middle."""
    limits = call.timeouts or NO_TIMEOUTS
    total_s = _seconds(limits.total_ms, MAX_STREAM_MS, spare_s)
    ttft_s = _seconds(limits.ttft_ms, MAX_BEGIN_MS)
    watch = Watch(attempt, world, attempt.started_s + min(ttft_s, total_s), "ttft" if ttft_s < total_s else "total")
    try:
        request, target = await _prepare(call, watch)
        async with AsyncExitStack() as stack:
            incoming = await watch.wait(stack.enter_async_context(world.outbound.open(request)))
            if not _ok(incoming.status):
                raise attempt.route.wire.fail(await watch.wait(incoming.whole()), target)
            parsed = await stack.enter_async_context(aclosing(_parsed(incoming, target, watch)))
            async for chunks in parsed:
                for chunk in chunks:
                    attempt.answered.take(chunk)
                if attempt.ttft_s is None and any(_has_content(chunk) for chunk in chunks):
                    attempt.ttft_s = world.clock.monotonic_s() - attempt.started_s
                    watch.deadline_s, watch.phase = attempt.started_s + total_s, "total"
                yield chunks
    except GatewayError as error:
        attempt.error = error
        raise
    finally:
        attempt.ended_s = world.clock.monotonic_s()


async def _prepare(call: ChatCall, watch: Watch) -> tuple[HttpRequest, Target]:
    route, world = watch.attempt.route, watch.world
    reached = await watch.within(contact(watch.attempt, world))
    request = route.wire.render(await with_uploads(call, reached, watch), reached.target)
    return reached.authorized(request, world.clock.now_s()), reached.target


async def _parsed(incoming: Incoming, target: Target, watch: Watch) -> AsyncGenerator[list[Chunk], None]:
    parser = watch.attempt.route.wire.stream(target)
    arriving = aiter(incoming.chunks())
    while (data := await watch.wait(anext(arriving, None))) is not None:
        for chunks in _up_to_failure(parser.feed(data)):
            yield chunks
    for chunks in _up_to_failure(parser.close()):
        yield chunks


def _up_to_failure(parsing: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """All chunks at once, also those that come before the provider's error in the same read, which follows them."""
    chunks: list[Chunk] = []
    failure: ProviderFailure | None = None
    try:
        chunks.extend(parsing)  # keeps what was given before a failure
    except ProviderFailure as error:
        failure = error
    if chunks:
        yield chunks
    if failure is not None:
        raise failure


def _has_content(chunk: Chunk) -> bool:
    """Anything but the role and empty text; an end is content too, for an answer may have no other."""
    return any(choice.finish_reason or _says_something(choice.delta) for choice in chunk.choices)


def _says_something(delta: Delta) -> bool:
    words = delta.content or delta.reasoning_content or delta.refusal
    return bool(words or delta.tool_calls or delta.reasoning_details or delta.audio or delta.media)


def _ok(status: int) -> bool:
    return 200 <= status < 300


def _seconds(milliseconds: int | None, longest_ms: int, spare_s: float = 0.0) -> float:
    longest_s = longest_ms / 1000 - spare_s
    return longest_s if milliseconds is None else min(milliseconds / 1000, longest_s)
