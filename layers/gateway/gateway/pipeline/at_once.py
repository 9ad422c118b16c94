"""A stream of a reply that is there already, for clients that ask for one where nothing can come piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from msgspec.structs import replace

from gateway.model.chat import ChatCall
from gateway.model.completion import Completion, CompletionChunk
from gateway.model.reply import Choice, ChunkChoice, Delta


async def at_once(reply: Completion, call: ChatCall) -> AsyncGenerator[list[CompletionChunk], None]:
    """A chunk for each choice, and one for usage where that was asked for; the last one has usage and report."""
    base = CompletionChunk(id=reply.id, created=reply.created, model=reply.model, choices=[])
    chunks = [replace(base, choices=[_whole(choice)]) for choice in reply.choices]
    if call.stream_options is not None and call.stream_options.include_usage:
        chunks.append(base)
    yield [*chunks[:-1], replace(chunks[-1], usage=reply.usage, gateway=reply.gateway)]


def _whole(choice: Choice) -> ChunkChoice:
    delta = Delta(role="assistant", content=choice.message.content, media=choice.message.media)
    return ChunkChoice(index=choice.index, delta=delta, finish_reason=choice.finish_reason)
