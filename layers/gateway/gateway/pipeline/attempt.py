"""Step 4: one call to one provider, whole or streamed, inside its time limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing

from gateway.model.call import MAX_BEGIN_MS, MAX_STREAM_MS
from gateway.model.chat import ChatCall
from gateway.model.http import HttpRequest
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Chunk, Delta, Reply
from gateway.pipeline.ask import answered, ask, ending
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import Attempt
from gateway.pipeline.upload import with_uploads
from gateway.pipeline.watch import Watch, begins_s, lease_s, total_s
from gateway.ports import Incoming, World
from gateway.providers.contract import Target

BEGIN_MS = 60_000


def longest_s(call: ChatCall) -> float:
    """After which nobody can be working on a call any more."""
    return lease_s(call, MAX_STREAM_MS if call.stream else MAX_BEGIN_MS)


async def whole(call: ChatCall, attempt: Attempt, world: World, spare_s: float = 0.0) -> Reply:
    """The provider's complete reply. Raises ProviderFailure and CapabilityNotSupported.

    `spare_s`: how much of the longest time is needed for something else.
    """
    most_s = total_s(call, MAX_BEGIN_MS, spare_s + attempt.late_s, attempt.chances)
    watch = Watch(attempt, world, attempt.started_s + most_s)
    with ending(attempt, world.clock):
        request, reached = await _prepare(call, watch)
        reply: Reply = attempt.route.wire.parse(await ask(request, reached, watch, attempt.sending), reached.target)
        attempt.answered.take(reply)
        return reply


async def begun(call: ChatCall, attempt: Attempt, world: World, until_s: float) -> str:
    """How the provider calls what it has begun in the background. Raises as `whole`."""
    watch = Watch(attempt, world, min(attempt.started_s + total_s(call, BEGIN_MS), until_s))
    with ending(attempt, world.clock):
        request, reached = await _prepare(call, watch)
        answer = await ask(request, reached, watch, attempt.sending)
        remote_id: str = attempt.route.wire.parse(answer, reached.target)
        return remote_id


async def streamed(
    call: ChatCall, attempt: Attempt, world: World, spare_s: float = 0.0
) -> AsyncGenerator[list[Chunk], None]:
    """The provider's chunks as they come, those of one network read together. Raises as `whole`, also in the middle."""
    most_s = total_s(call, MAX_STREAM_MS, spare_s + attempt.late_s)
    ttft_s = begins_s(call, attempt)
    watch = Watch(attempt, world, attempt.started_s + min(ttft_s, most_s), "ttft" if ttft_s < most_s else "total")
    with ending(attempt, world.clock):
        request, reached = await _prepare(call, watch)
        async with (
            answered(request, reached, watch, attempt.sending) as incoming,
            aclosing(_parsed(incoming, reached.target, watch)) as parsed,
        ):
            async for chunks in parsed:
                for chunk in chunks:
                    attempt.answered.take(chunk)
                if attempt.ttft_s is None and any(_has_content(chunk) for chunk in chunks):
                    attempt.ttft_s = world.clock.monotonic_s() - attempt.started_s
                    watch.deadline_s, watch.phase = attempt.started_s + most_s, "total"
                yield chunks


async def _prepare(call: ChatCall, watch: Watch) -> tuple[HttpRequest, Contact]:
    route = watch.attempt.route
    reached = await watch.within(contact(watch.attempt, watch.world))
    return route.wire.render(await with_uploads(call, reached, watch), reached.target), reached


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
