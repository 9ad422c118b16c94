"""Anthropic's stream of events as normalised chunks.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import Json
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Chunk, ChunkChoice, Delta, FunctionCallDelta, ToolCallDelta
from gateway.model.usage import TokenUsage
from gateway.providers.wire.anthropic_parse import (
    KIND,
    OPAQUE,
    UNREADABLE,
    Figures,
    Places,
    Stop,
    WholeMessage,
    annotation,
    error_of,
    read_block,
)
from gateway.providers.wire.sse import SseDecoder


class Piece(Stop, frozen=True):
    """The `delta` of any event: a piece of a block, or the end of the message."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: Json | None = None


class MessageEvent(Struct, frozen=True):
    type: str
    index: int = 0
    message: WholeMessage | None = None
    content_block: Raw = Raw(b"{}")
    delta: Piece = Piece()
    usage: Figures | None = None


class _Open:
    """A block that has begun. `call`: which tool call it is. `opaque`: the block itself, to be sent back unchanged."""

    __slots__ = ("call", "cited", "grown", "json", "opaque", "start")

    def __init__(self, start: int, call: int | None, opaque: Json | None) -> None:
        self.start, self.call, self.opaque = start, call, opaque
        self.cited: list[Json] = []
        self.json: list[str] = []
        self.grown: dict[str, list[str]] = {"thinking": [], "signature": []}

    def whole(self, block: Json) -> Json:
        """The opaque block as it is with all pieces of its members."""
        joined = {name: "".join([block.get(name) or "", *pieces]) for name, pieces in self.grown.items() if pieces}
        return {**block, **joined}


_EVENT = msgspec.json.Decoder(MessageEvent)


def _chunk(delta: Delta) -> Chunk:
    return Chunk(choices=[ChunkChoice(index=0, delta=delta)])


def _arguments(call: int, text: str) -> Chunk:
    return _chunk(Delta(tool_calls=[ToolCallDelta(index=call, function=FunctionCallDelta(arguments=text))]))


class MessageStream:
    """One streamed message. `event` takes one event's data, for carriers other than server-sent events."""

    def __init__(self, provider: str, model: str) -> None:
        self._provider = provider
        self._sse = SseDecoder()
        self._places = Places(model)
        self._blocks: dict[int, _Open] = {}
        self._figures: Figures | None = None
        self._chars = self._calls = 0
        self._ended = self._complete = False

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for event in self._sse.feed(data):
            yield from self.event(event.data)

    def close(self) -> Iterator[Chunk]:
        """Raises ProviderError when `message_stop` has not come."""
        if not self._complete:
            raise ProviderError(f"{self._provider}'s stream ended early")
        return iter(())

    def event(self, data: bytes) -> Iterator[Chunk]:
        """Raises the failure that an `error` event means, ProviderError for nonsense; unknown events give nothing."""
        try:
            event = _EVENT.decode(data)
        except UNREADABLE as error:
            return self._unreadable(data, error)
        if event.type == "error":
            raise error_of(data, self._provider) or ProviderError(f"{self._provider} reported an unnamed error")
        handle = _HANDLERS.get(event.type)
        return iter(()) if handle is None or self._complete else handle(self, event)

    def _unreadable(self, data: bytes, error: Exception) -> Iterator[Chunk]:
        try:
            known = KIND.decode(data).type in (*_HANDLERS, "error")
        except UNREADABLE:
            known = True
        if known:
            raise error_of(data, self._provider) or ProviderError(
                f"{self._provider} sent an event that is not documented"
            ) from error
        return iter(())

    def _message_start(self, event: MessageEvent) -> Iterator[Chunk]:
        message = event.message or WholeMessage()
        self._figures = message.usage
        yield Chunk(
            id=message.id,
            model=message.model,
            choices=[ChunkChoice(index=0, delta=Delta(role="assistant"))],
            usage=self._usage(),
            service_tier=self._figures.tier if self._figures else None,
        )

    def _block_start(self, event: MessageEvent) -> Iterator[Chunk]:
        try:
            block = read_block(event.content_block)
        except UNREADABLE as error:
            raise ProviderError(f"{self._provider} began a block that is not documented") from error
        start = self._chars
        if block.type == "text":
            self._blocks[event.index] = opened = _Open(start, None, None)
            opened.cited += block.citations or ()
            if block.text:
                yield self._text(block.text)
        elif block.type == "tool_use":
            self._blocks[event.index] = _Open(start, self._calls, None)
            self._places.call(block.id)
            call = ToolCallDelta(
                index=self._calls,
                id=block.id,
                type="function",
                function=FunctionCallDelta(name=block.name, arguments=""),
                extra_content=block.extra_content,
            )
            self._calls += 1
            yield _chunk(Delta(tool_calls=[call]))
        else:
            self._blocks[event.index] = _Open(start, None, OPAQUE.decode(event.content_block))
            if block.thinking:
                yield _chunk(Delta(reasoning_content=block.thinking))

    def _block_delta(self, event: MessageEvent) -> Iterator[Chunk]:
        piece = event.delta
        opened = self._blocks.get(event.index)
        if opened is None:
            raise ProviderError(f"{self._provider} continued a block that it had not begun")
        if piece.type == "text_delta" and piece.text:
            yield self._text(piece.text)
        elif piece.type == "input_json_delta" and piece.partial_json:
            opened.json.append(piece.partial_json)
            if opened.call is not None:
                yield _arguments(opened.call, piece.partial_json)
        elif piece.type == "thinking_delta" and piece.thinking:
            opened.grown["thinking"].append(piece.thinking)
            yield _chunk(Delta(reasoning_content=piece.thinking))
        elif piece.type == "signature_delta":
            opened.grown["signature"].append(piece.signature)
        elif piece.type == "citations_delta" and piece.citation:
            opened.cited.append(piece.citation)

    def _block_stop(self, event: MessageEvent) -> Iterator[Chunk]:
        opened = self._blocks.pop(event.index, None)
        if opened is None:
            return
        if opened.opaque is not None:
            block = opened.whole(opened.opaque)
            if opened.json:
                block["input"] = self._server_input("".join(opened.json))
            yield _chunk(Delta(reasoning_details=self._places.opaque(block)))
        elif opened.call is not None:
            if not opened.json:  # a call without arguments sends no pieces, and "" is not JSON
                yield _arguments(opened.call, "{}")
        else:
            self._places.text(self._chars - opened.start)
            if opened.cited:
                cited = [annotation(citation, opened.start, self._chars) for citation in opened.cited]
                yield _chunk(Delta(annotations=cited))

    def _message_delta(self, event: MessageEvent) -> Iterator[Chunk]:
        if event.usage is not None:
            self._figures = self._figures.updated(event.usage) if self._figures else event.usage
        yield from self._end(event.delta)

    def _message_stop(self, _event: MessageEvent) -> Iterator[Chunk]:
        if not self._ended:
            yield from self._end(Stop(stop_reason="end_turn" if not self._calls else "tool_use"))
        self._complete = True

    def _end(self, stop: Stop) -> Iterator[Chunk]:
        if stop.stop_reason is None or self._ended:
            yield Chunk(choices=[], usage=self._usage())
            return
        self._ended = True
        reason = stop.finish_reason(has_calls=self._calls > 0)
        yield Chunk(
            choices=[ChunkChoice(index=0, delta=Delta(refusal=stop.refusal), finish_reason=reason)],
            usage=self._usage(),
            extra=stop.facts(self._figures),
        )

    def _usage(self) -> TokenUsage | None:
        return self._figures.tokens() if self._figures else None

    def _text(self, text: str) -> Chunk:
        self._chars += len(text)
        return _chunk(Delta(content=text))

    def _server_input(self, text: str) -> Json:
        try:
            return OPAQUE.decode(text)
        except UNREADABLE as error:
            raise ProviderError(f"{self._provider} sent a server tool's input that is not JSON") from error


_HANDLERS: dict[str, Callable[[MessageStream, MessageEvent], Iterator[Chunk]]] = {
    "message_start": MessageStream._message_start,
    "content_block_start": MessageStream._block_start,
    "content_block_delta": MessageStream._block_delta,
    "content_block_stop": MessageStream._block_stop,
    "message_delta": MessageStream._message_delta,
    "message_stop": MessageStream._message_stop,
}
