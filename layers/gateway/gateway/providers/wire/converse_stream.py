"""ConverseStream's events as normalised chunks.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html (2026-11).
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Chunk, ChunkChoice, Delta, FunctionCallDelta, ToolCallDelta
from gateway.model.usage import TokenUsage
from gateway.providers.wire.anthropic_parse import Places
from gateway.providers.wire.converse_failures import failure_in
from gateway.providers.wire.converse_parse import (
    BROKEN_OFF,
    SERVER_TOOL_USE,
    UNREADABLE,
    Image,
    Lenient,
    Metadata,
    Stop,
    ToolUse,
    annotation,
    opaque,
    reasoning_detail,
    server_tool_use,
)
from gateway.providers.wire.eventstream import EventStreamDecoder, Message
from gateway.providers.wire.failures import broke_off


class Start(Lenient, frozen=True):
    """One of them; text and reasoning begin without."""

    tool_use: ToolUse | None = None
    tool_result: Json | None = None
    image: Image | None = None


class BlockStart(Lenient, frozen=True):
    content_block_index: int = 0
    start: Start = Start()


class ToolInput(Lenient, frozen=True):
    input: str = ""


class Thought(Lenient, frozen=True):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class Piece(Lenient, frozen=True):
    """One of them."""

    text: str | None = None
    tool_use: ToolInput | None = None
    reasoning_content: Thought | None = None
    citation: Json | None = None
    tool_result: list[Json] | None = None
    image: Image | None = None


class BlockDelta(Lenient, frozen=True):
    content_block_index: int = 0
    delta: Piece = Piece()


class BlockStop(Lenient, frozen=True):
    content_block_index: int = 0


class MessageStart(Lenient, frozen=True):
    pass


class _Open:
    """A block that has begun. `call`: which tool call it is. `start`: how it began, None for text and reasoning."""

    __slots__ = ("call", "chars", "cited", "json", "result", "sealed", "signature", "start", "thought")

    def __init__(self, chars: int, call: int | None = None, start: Start | None = None) -> None:
        self.chars, self.call, self.start = chars, call, start
        self.json: list[str] = []
        self.thought: list[str] = []
        self.signature: list[str] = []
        self.sealed: list[str] = []  # of redacted reasoning or of an image
        self.cited: list[Json] = []
        self.result: list[Json] = []


def _chunk(delta: Delta) -> Chunk:
    return Chunk(choices=[ChunkChoice(index=0, delta=delta)])


def _arguments(call: int, text: str) -> Chunk:
    return _chunk(Delta(tool_calls=[ToolCallDelta(index=call, function=FunctionCallDelta(arguments=text))]))


class ConverseStream:
    """One streamed answer."""

    def __init__(self, provider: str, model: str) -> None:
        self._provider = provider
        self._frames = EventStreamDecoder()
        self._places = Places(model)
        self._blocks: dict[int, _Open] = {}
        self._chars = self._cited_from = self._calls = 0
        self._complete = False
        self._broken_off = ""
        self._charged: TokenUsage | None = None

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for message in self._frames.feed(data):
            yield from self.event(message)

    def close(self) -> Iterator[Chunk]:
        """Raises ProviderError when `messageStop` has not come, or says that the answer was broken off."""
        if not self._complete:
            raise ProviderError(f"{self._provider}'s stream ended early")
        if self._broken_off:
            raise broke_off(self._provider, self._broken_off, self._charged)
        return iter(())

    def event(self, message: Message) -> Iterator[Chunk]:
        """Raises the failure that an exception means, ProviderError for nonsense; unknown events give nothing."""
        if message.headers.get(":message-type") != "event":
            raise failure_in(message, self._provider)
        known = _EVENTS.get(message.headers.get(":event-type"))
        if known is None:
            return iter(())
        decoder, handle = known
        try:
            event = decoder.decode(message.payload)
        except UNREADABLE as error:
            raise ProviderError(f"{self._provider} sent an event that is not documented") from error
        return handle(self, event)

    def _message_start(self, _event: MessageStart) -> Iterator[Chunk]:
        yield _chunk(Delta(role="assistant"))

    def _block_start(self, event: BlockStart) -> Iterator[Chunk]:
        use = event.start.tool_use
        if use is None or use.type == SERVER_TOOL_USE:
            self._blocks[event.content_block_index] = _Open(self._chars, start=event.start)
            return
        self._blocks[event.content_block_index] = _Open(self._chars, call=self._calls, start=event.start)
        self._places.call(use.tool_use_id)
        function = FunctionCallDelta(name=use.name, arguments="")
        call = ToolCallDelta(index=self._calls, id=use.tool_use_id, type="function", function=function)
        self._calls += 1
        yield _chunk(Delta(tool_calls=[call]))

    def _block_delta(self, event: BlockDelta) -> Iterator[Chunk]:
        piece = event.delta
        opened = self._blocks.get(event.content_block_index)
        if opened is None:
            opened = self._blocks[event.content_block_index] = _Open(self._chars)
        if piece.text:
            self._chars += len(piece.text)
            yield _chunk(Delta(content=piece.text))
        elif piece.tool_use is not None:
            yield from self._input(opened, piece.tool_use.input)
        elif piece.reasoning_content is not None:
            yield from _reason(opened, piece.reasoning_content)
        elif piece.citation is not None:
            opened.cited.append(piece.citation)
        elif piece.tool_result is not None:
            opened.result += piece.tool_result
        elif piece.image is not None and piece.image.source.data is not None:
            opened.sealed.append(piece.image.source.data)

    def _input(self, opened: _Open, text: str) -> Iterator[Chunk]:
        if opened.start is None or opened.start.tool_use is None:
            raise ProviderError(f"{self._provider} continued a tool call that it had not begun")
        if text:
            opened.json.append(text)
            if opened.call is not None:
                yield _arguments(opened.call, text)

    def _block_stop(self, event: BlockStop) -> Iterator[Chunk]:
        opened = self._blocks.pop(event.content_block_index, None)
        if opened is not None:
            yield from self._end_block(opened)

    def _end_block(self, opened: _Open) -> Iterator[Chunk]:
        if opened.call is not None:
            if not opened.json:  # a call without arguments may send no pieces, and "" is not JSON
                yield _arguments(opened.call, "{}")
        elif opened.start is not None:
            yield from self._end_started(opened, opened.start)
        elif opened.thought or opened.signature or opened.sealed:
            sealed = self._joined(opened.sealed) if opened.sealed else None
            signature = "".join(opened.signature) if opened.signature else None
            detail = reasoning_detail("".join(opened.thought), signature, sealed)
            if detail is not None:
                yield _chunk(Delta(reasoning_details=self._places.opaque(detail)))
        elif opened.chars < self._chars:
            self._cited_from = opened.chars
            self._places.text(self._chars - opened.chars)
        if opened.cited:  # a block with nothing but citations speaks of the text before it
            cited = [annotation(citation, self._cited_from, self._chars) for citation in opened.cited]
            yield _chunk(Delta(annotations=cited))

    def _end_started(self, opened: _Open, start: Start) -> Iterator[Chunk]:
        if start.tool_use is not None:
            block = server_tool_use(start.tool_use, self._server_input("".join(opened.json)))
            yield _chunk(Delta(reasoning_details=self._places.opaque(block)))
        elif start.tool_result is not None:
            block = opaque("toolResult", {**start.tool_result, "content": opened.result})
            yield _chunk(Delta(reasoning_details=self._places.opaque(block)))
        elif start.image is not None and opened.sealed:
            entry = {"type": "image", "content_type": f"image/{start.image.format}"}
            yield _chunk(Delta(media=[{**entry, "data": self._joined(opened.sealed)}]))

    def _message_stop(self, stop: Stop) -> Iterator[Chunk]:
        for index in sorted(self._blocks):
            yield from self._end_block(self._blocks.pop(index))
        self._complete = True
        if stop.stop_reason in BROKEN_OFF:
            self._broken_off = stop.stop_reason
            return
        reason = stop.finish_reason(has_calls=self._calls > 0)
        yield Chunk(choices=[ChunkChoice(index=0, delta=Delta(), finish_reason=reason)], extra=stop.facts())

    def _metadata(self, metadata: Metadata) -> Iterator[Chunk]:
        self._charged = metadata.usage.tokens() if metadata.usage else None
        yield Chunk(choices=[], usage=self._charged, service_tier=metadata.tier, extra=metadata.facts())

    def _server_input(self, text: str) -> Any:
        try:
            return msgspec.json.decode(text) if text else {}
        except UNREADABLE as error:
            raise ProviderError(f"{self._provider} sent a server tool's input that is not JSON") from error

    def _joined(self, pieces: list[str]) -> str:
        """Base64 of all pieces; of one piece as it came."""
        if len(pieces) == 1:
            return pieces[0]
        try:
            return b64encode(b"".join(map(b64decode, pieces))).decode()
        except (binascii.Error, ValueError) as error:
            raise ProviderError(f"{self._provider} sent bytes that are not base64") from error


def _reason(opened: _Open, thought: Thought) -> Iterator[Chunk]:
    if thought.signature is not None:
        opened.signature.append(thought.signature)
    if thought.redacted_content is not None:
        opened.sealed.append(thought.redacted_content)
    if thought.text:
        opened.thought.append(thought.text)
        yield _chunk(Delta(reasoning_content=thought.text))


_Handle = Callable[[ConverseStream, Any], Iterator[Chunk]]
_EVENTS: dict[Any, tuple[msgspec.json.Decoder[Any], _Handle]] = {
    "messageStart": (msgspec.json.Decoder(MessageStart), ConverseStream._message_start),
    "contentBlockStart": (msgspec.json.Decoder(BlockStart), ConverseStream._block_start),
    "contentBlockDelta": (msgspec.json.Decoder(BlockDelta), ConverseStream._block_delta),
    "contentBlockStop": (msgspec.json.Decoder(BlockStop), ConverseStream._block_stop),
    "messageStop": (msgspec.json.Decoder(Stop), ConverseStream._message_stop),
    "metadata": (msgspec.json.Decoder(Metadata), ConverseStream._metadata),
}
