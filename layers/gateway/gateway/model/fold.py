"""Chunks of a stream put together to the reply they make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from gateway.model.chat import FunctionCall, Json, ToolCall
from gateway.model.reply import Choice, Chunk, ChunkChoice, Delta, FinishReason, Reply, ReplyMessage, ToolCallDelta
from gateway.model.usage import TokenUsage


class Details:
    """Opaque blocks of a reply: pieces of one have the same type and a number `index`; one without comes whole."""

    def __init__(self) -> None:
        self._blocks: list[list[Json]] = []

    def add(self, piece: Json) -> None:
        last = self._blocks[-1][0] if self._blocks else {}
        index = piece.get("index")
        if isinstance(index, int) and last.get("index") == index and last.get("type") == piece.get("type"):
            self._blocks[-1].append(piece)
        else:
            self._blocks.append([piece])

    def whole(self) -> list[Json]:
        return [_joined(pieces, keep=("type", "format", "id")) for pieces in self._blocks]


class _Call(Struct):
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    extra_content: Json | None = None

    def add(self, piece: ToolCallDelta) -> None:
        self.id = self.id or piece.id or ""
        if piece.function is not None:
            self.name = self.name or piece.function.name or ""
            self.arguments.append(piece.function.arguments or "")
        if piece.extra_content is not None:
            self.extra_content = {**(self.extra_content or {}), **piece.extra_content}

    def whole(self) -> ToolCall:
        function = FunctionCall(name=self.name, arguments="".join(self.arguments))
        return ToolCall(id=self.id, function=function, extra_content=self.extra_content)


class _Message(Struct):
    """`content` None: no piece of it came, not even an empty one."""

    content: list[str] | None = None
    refusal: list[str] | None = None
    reasoning: list[str] | None = None
    calls: dict[int, _Call] = field(default_factory=dict)
    details: Details = field(default_factory=Details)
    annotations: list[Json] = field(default_factory=list)
    media: list[Json] = field(default_factory=list)
    audio: list[Json] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    def add(self, choice: ChunkChoice) -> None:
        delta = choice.delta
        self.content = _and_text(self.content, delta.content)
        self.refusal = _and_text(self.refusal, delta.refusal)
        self.reasoning = _and_text(self.reasoning, delta.reasoning_content)
        for piece in delta.tool_calls or ():
            self.calls.setdefault(piece.index, _Call()).add(piece)
        self._add_objects(delta)
        if choice.logprobs is not None:
            self.logprobs.append(choice.logprobs)
        self.finish_reason = choice.finish_reason or self.finish_reason

    def _add_objects(self, delta: Delta) -> None:
        for detail in delta.reasoning_details or ():
            self.details.add(detail)
        self.annotations += delta.annotations or ()
        self.media += delta.media or ()
        if delta.audio is not None:
            self.audio.append(delta.audio)

    def whole(self, index: int) -> Choice:
        calls = [self.calls[position].whole() for position in sorted(self.calls)]
        content = _text(self.content)
        message = ReplyMessage(
            content=content if content or not calls else None,
            refusal=_text(self.refusal),
            tool_calls=calls or None,
            reasoning_content=_text(self.reasoning),
            reasoning_details=self.details.whole() or None,
            annotations=self.annotations or None,
            audio=_joined(self.audio) if self.audio else None,
            media=self.media or None,
        )
        finish_reason = self.finish_reason or ("tool_calls" if calls else "stop")
        logprobs = _joined(self.logprobs) if self.logprobs else None
        return Choice(index=index, message=message, finish_reason=finish_reason, logprobs=logprobs)


def fold(chunks: Iterable[Chunk]) -> Reply:
    """The reply that a client would have got without streaming. The last usage counts; facts are the latest said."""
    messages: dict[int, _Message] = {}
    facts: dict[str, Any] = {}
    usage: TokenUsage | None = None
    extra: Json = {}
    for chunk in chunks:
        for choice in chunk.choices:
            messages.setdefault(choice.index, _Message()).add(choice)
        for name in ("id", "created_s", "model", "service_tier", "system_fingerprint"):
            if value := getattr(chunk, name):
                facts[name] = value
        usage = chunk.usage or usage
        extra |= chunk.extra or {}
    choices = [messages[index].whole(index) for index in sorted(messages)]
    return Reply(choices=choices, usage=usage, extra=extra or None, **facts)


def _and_text(pieces: list[str] | None, piece: str | None) -> list[str] | None:
    if piece is None:
        return pieces
    if pieces is None:
        return [piece]
    pieces.append(piece)
    return pieces


def _text(pieces: list[str] | None) -> str | None:
    return None if pieces is None else "".join(pieces)


def _joined(pieces: list[Any], keep: tuple[str, ...] = ("id",)) -> Any:
    """Texts and lists one after the other, objects member by member; of anything else, and of `keep`, the latest."""
    if len(pieces) == 1:
        return pieces[0]
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if all(isinstance(piece, list) for piece in pieces):
        return [item for piece in pieces for item in piece]
    if not all(isinstance(piece, dict) for piece in pieces):
        return pieces[-1]
    members: dict[str, list[Any]] = {}
    for piece in pieces:
        for name, value in piece.items():
            values = members.setdefault(name, [])
            if value is not None:
                values.append(value)
    return {name: _member(values, name in keep) for name, values in members.items()}


def _member(values: list[Any], is_kept: bool) -> Any:
    if not values:
        return None
    return values[-1] if is_kept else _joined(values)
