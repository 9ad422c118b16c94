"""A whole reply as the chunks of a stream that make it: the other way round than `fold`."""

from __future__ import annotations

from typing import Any

from gateway.model.chat import ToolCall
from gateway.model.reply import Choice, Chunk, ChunkChoice, Delta, FunctionCallDelta, Reply, ToolCallDelta


def unfold(reply: Reply) -> list[Chunk]:
    """Two for each choice: what it says, and its end, which has the lists of objects whole."""
    facts: dict[str, Any] = {
        name: getattr(reply, name) for name in ("id", "created_s", "model", "service_tier", "system_fingerprint")
    }
    chunks = [Chunk(choices=[part], **facts) for choice in reply.choices for part in (_said(choice), _end(choice))]
    if reply.usage is not None or reply.extra is not None:
        chunks.append(Chunk(choices=[], usage=reply.usage, extra=reply.extra, **facts))
    return chunks


def _said(choice: Choice) -> ChunkChoice:
    message = choice.message
    delta = Delta(
        role=message.role,
        content=message.content,
        refusal=message.refusal,
        tool_calls=[_call(index, call) for index, call in enumerate(message.tool_calls or ())] or None,
        reasoning_content=message.reasoning_content,
        audio=message.audio,
    )
    return ChunkChoice(index=choice.index, delta=delta, logprobs=choice.logprobs)


def _end(choice: Choice) -> ChunkChoice:
    message = choice.message
    delta = Delta(reasoning_details=message.reasoning_details, annotations=message.annotations, media=message.media)
    return ChunkChoice(index=choice.index, delta=delta, finish_reason=choice.finish_reason)


def _call(index: int, call: ToolCall) -> ToolCallDelta:
    function = FunctionCallDelta(name=call.function.name, arguments=call.function.arguments)
    return ToolCallDelta(index=index, id=call.id, type="function", function=function, extra_content=call.extra_content)
