"""Cohere's stream of events. Source: https://docs.cohere.com/v2/docs/streaming (2026-11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Chunk, ChunkChoice, Delta, FinishReason, FunctionCallDelta, ToolCallDelta
from gateway.providers.wire.cohere_chat_parse import (
    billed,
    cited,
    finish_reason,
    probabilities,
    thinking_block,
    token_usage,
    tool_plan_block,
)
from gateway.providers.wire.sse import Event, SseDecoder


class WireEvent(msgspec.Struct):
    """`index`: of the content part, call or citation that the event is about."""

    type: str = ""
    id: Any = None
    index: int | None = None
    delta: Any = None
    logprobs: Any = None


_decoder = msgspec.json.Decoder(WireEvent)


class AnswerStream:
    """Complete when `message-end` came. Reasoning is told as it comes, and as a whole block when it is complete."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._sse = SseDecoder()
        self._id = ""
        self._begun = self._ended = False
        self._calls: dict[int | None, int] = {}
        self._plan: list[str] = []
        self._thoughts: dict[int | None, list[str]] = {}
        self._starts: dict[int | None, int] = {}
        self._chars = self._call_count = 0
        self._readers: dict[str, Callable[[WireEvent], ChunkChoice | None]] = {
            "content-start": self._content,
            "content-delta": self._content,
            "content-end": self._content_end,
            "tool-plan-delta": self._plan_piece,
            "tool-call-start": self._call_start,
            "tool-call-delta": self._call_piece,
            "citation-start": self._citation,
        }

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for event in self._sse.feed(data):
            if (chunk := self._chunk(event)) is not None:
                yield chunk

    def close(self) -> Iterator[Chunk]:
        """Raises ProviderError when the answer has not ended."""
        if not self._ended and self._sse.pending:  # the last event may lack its empty line
            yield from self.feed(b"\n\n")
        if not self._ended:
            raise ProviderError(f"{self._provider}'s stream ended early.")

    def _chunk(self, event: Event) -> Chunk | None:
        if self._ended or event.data == b"[DONE]":
            return None
        try:
            said = _decoder.decode(event.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{self._provider} sent something that is not an event of a chat stream.") from None
        if said.type == "message-start":
            self._id = said.id if isinstance(said.id, str) else ""
            return self._told(Delta())
        if said.type == "message-end":
            return self._end(said.delta if isinstance(said.delta, dict) else {})
        read = self._readers.get(said.type)
        choice = read(said) if read is not None else None
        if choice is None:
            return None
        return self._told(choice.delta, choice.logprobs)

    def _told(self, delta: Delta, logprobs: Any = None, finish: FinishReason | None = None) -> Chunk:
        if not self._begun:
            self._begun = True
            delta = msgspec.structs.replace(delta, role="assistant")
        choice = ChunkChoice(index=0, delta=delta, finish_reason=finish, logprobs=logprobs)
        return Chunk(choices=[choice], id=self._id)

    def _end(self, delta: Json) -> Chunk:
        """Raises ProviderError when the provider says that it could not finish."""
        given = "ERROR" if delta.get("error") else delta.get("finish_reason")
        usage = token_usage(delta.get("usage"))
        reason = finish_reason(given, usage, has_calls=self._call_count > 0, provider=self._provider)
        self._ended = True
        chunk = self._told(Delta(reasoning_details=self._whole_plan()), finish=reason)
        return msgspec.structs.replace(chunk, usage=usage, extra=billed(delta.get("usage")))

    def _content(self, event: WireEvent) -> ChunkChoice | None:
        content = _inner(event.delta, "message", "content")
        text, thought = content.get("text"), content.get("thinking")
        self._starts.setdefault(event.index, self._chars)
        if isinstance(thought, str) and thought:
            self._thoughts.setdefault(event.index, []).append(thought)
            return _said(Delta(reasoning_content=thought))
        if not isinstance(text, str) or not text:
            return None
        self._chars += len(text)
        logprobs = probabilities([event.logprobs]) if event.logprobs is not None else None
        return _said(Delta(content=text), logprobs)

    def _content_end(self, event: WireEvent) -> ChunkChoice | None:
        thought = self._thoughts.pop(event.index, None)
        return _said(Delta(reasoning_details=[thinking_block("".join(thought))])) if thought else None

    def _plan_piece(self, event: WireEvent) -> ChunkChoice | None:
        piece = _inner(event.delta, "message").get("tool_plan")
        if not isinstance(piece, str) or not piece:
            return None
        self._plan.append(piece)
        return _said(Delta(reasoning_content=piece))

    def _whole_plan(self) -> list[Json] | None:
        return [tool_plan_block("".join(self._plan))] if self._plan else None

    def _call_start(self, event: WireEvent) -> ChunkChoice | None:
        call = _inner(event.delta, "message", "tool_calls")
        function = _inner(call, "function")
        place = self._calls[event.index] = self._call_count
        self._call_count += 1
        call_id, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
        begun = ToolCallDelta(
            index=place,
            id=call_id if isinstance(call_id, str) and call_id else f"call_{place}",
            type="function",
            function=FunctionCallDelta(
                name=name if isinstance(name, str) else "", arguments=arguments if isinstance(arguments, str) else ""
            ),
        )
        return _said(Delta(tool_calls=[begun]))

    def _call_piece(self, event: WireEvent) -> ChunkChoice | None:
        arguments = _inner(event.delta, "message", "tool_calls", "function").get("arguments")
        place = self._calls.get(event.index)
        if place is None or not isinstance(arguments, str) or not arguments:
            return None
        return _said(Delta(tool_calls=[ToolCallDelta(index=place, function=FunctionCallDelta(arguments=arguments))]))

    def _citation(self, event: WireEvent) -> ChunkChoice | None:
        sources = list(cited(_inner(event.delta, "message", "citations"), self._starts))
        return _said(Delta(annotations=sources)) if sources else None


def _said(delta: Delta, logprobs: Any = None) -> ChunkChoice:
    return ChunkChoice(index=0, delta=delta, logprobs=logprobs)


def _inner(value: Any, *names: str) -> Json:
    """The object at this path; an empty one when there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
