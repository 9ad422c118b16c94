"""One call to one provider, whole or streamed, inside its time limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

from gateway.model.chat import ChatCall
from gateway.model.http import HttpRequest
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Chunk, Delta, Reply
from gateway.pipeline.ask import answered, ask, ending
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import Attempt
from gateway.pipeline.upload import with_uploads
from gateway.pipeline.watch import Watch
from gateway.ports import Incoming, World
from gateway.providers.contract import Target


async def whole(call: ChatCall, attempt: Attempt, world: World) -> Reply:
    """The provider's complete reply. Raises ProviderFailure and CapabilityNotSupported."""
    with ending(attempt, world.clock):
        reply: Reply = await _answer(call, Watch.of_whole(call, attempt, world))
        attempt.answered.take(reply)
        return reply


async def begun(call: ChatCall, attempt: Attempt, world: World) -> str:
    """How the provider calls what it has begun in the background. Raises as `whole`."""
    with ending(attempt, world.clock):
        remote_id: str = await _answer(call, Watch.of_beginning(call, attempt, world))
        return remote_id


async def _answer(call: ChatCall, watch: Watch) -> Any:
    """What the wire makes of it."""
    async with AsyncExitStack() as stack:
        request, reached = await _prepare(call, watch, stack)
        answer = await ask(request, reached, watch, watch.attempt.sending)
    return watch.attempt.route.wire.parse(answer, reached.target)


async def streamed(
    call: ChatCall, attempt: Attempt, world: World, spare_s: float = 0.0
) -> AsyncGenerator[list[Chunk], None]:
    """The provider's chunks as they come, those of one network read together. Raises as `whole`, also in the middle.

    `spare_s`: as of `Watch.of_stream`.
    """
    watch = Watch.of_stream(call, attempt, world, spare_s)
    with ending(attempt, world.clock):
        async with AsyncExitStack() as stack:
            request, reached = await _prepare(call, watch, stack)
            incoming = await stack.enter_async_context(answered(request, reached, watch, attempt.sending))
            parsed = await stack.enter_async_context(aclosing(_parsed(incoming, reached.target, watch)))
            async for chunks in parsed:
                for chunk in chunks:
                    attempt.answered.take(chunk)
                if attempt.ttft_s is None and any(_has_content(chunk) for chunk in chunks):
                    watch.has_content()
                yield chunks


async def _prepare(call: ChatCall, watch: Watch, stack: AsyncExitStack) -> tuple[HttpRequest, Contact]:
    route = watch.attempt.route
    reached = await watch.within(contact(watch.attempt, watch.world))
    return route.wire.render(await with_uploads(call, reached, watch, stack), reached.target), reached


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
