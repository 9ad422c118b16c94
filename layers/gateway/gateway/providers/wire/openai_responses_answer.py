"""The output items of one response as normalised pieces, whether an item comes whole or in deltas and then whole."""

from __future__ import annotations

from msgspec import Struct

from gateway.model.chat import Json
from gateway.model.reply import ChunkChoice, Delta, FunctionCallDelta, ToolCallDelta
from gateway.providers.wire.openai_chat_parse import arguments, objects, text
from gateway.providers.wire.openai_responses_items import (
    Places,
    citations,
    extra_content,
    image,
    is_worth_keeping,
    logprobs,
    thoughts,
)

BETWEEN_THOUGHTS = "\n\n"
"""The parts of a reasoning summary are paragraphs of their own, most with a heading."""


class _Open(Struct):
    """How much of an item its deltas have told. `call`: our number of a function call; `thought`: the event's kind."""

    call: int | None = None
    call_id: str = ""
    chars: int = 0
    arguments: bool = False
    refused: bool = False
    thought: str = ""


def _said(delta: Delta) -> ChunkChoice:
    return ChunkChoice(index=0, delta=delta)


class Answer:
    """`index` is everywhere the item's place in the output."""

    def __init__(self, provider: str) -> None:
        self.calls = 0
        self.begun = False
        self._provider = provider
        self._chars = 0
        self._thought: tuple[int, str, int] | None = None
        self._places = Places(provider)
        self._open: dict[int, _Open] = {}

    def text_piece(self, index: int, piece: str, probabilities: object) -> ChunkChoice:
        self._opened(index).chars += len(piece)
        self._chars += len(piece)
        told = logprobs(probabilities) if isinstance(probabilities, list) else None
        return ChunkChoice(index=0, delta=Delta(content=piece), logprobs=told)

    def refusal_piece(self, index: int, piece: str) -> ChunkChoice:
        self._opened(index).refused = True
        return _said(Delta(refusal=piece))

    def thought_piece(self, index: int, kind: str, part: int, piece: str) -> ChunkChoice | None:
        """Of reasoning and its summary, whichever begins to come is told, never both."""
        opened = self._opened(index)
        opened.thought = opened.thought or kind
        if opened.thought != kind:
            return None
        place = (index, kind, part)
        begins = self._thought not in (None, place)
        self._thought = place
        return _said(Delta(reasoning_content=BETWEEN_THOUGHTS + piece if begins else piece))

    def arguments_piece(self, index: int, piece: str) -> ChunkChoice | None:
        opened = self._opened(index)
        if opened.call is None:
            return None
        opened.arguments = True
        return _said(Delta(tool_calls=[ToolCallDelta(index=opened.call, function=FunctionCallDelta(arguments=piece))]))

    def added(self, index: int, item: Json) -> ChunkChoice | None:
        """An item has begun; only a function call says something by that."""
        if item.get("type") != "function_call":
            return None
        opened = self._opened(index)
        opened.call, self.calls = self.calls, self.calls + 1
        opened.call_id = text(item.get("call_id")) or text(item.get("id")) or f"call_{opened.call}"
        given = arguments(item.get("arguments")) or ""
        opened.arguments = bool(given)
        call = ToolCallDelta(
            index=opened.call,
            id=opened.call_id,
            type="function",
            function=FunctionCallDelta(name=text(item.get("name")), arguments=given),
            extra_content=extra_content(item, self._provider),
        )
        return _said(Delta(tool_calls=[call]))

    def done(self, index: int, item: Json) -> ChunkChoice | None:
        """An item is complete: what its deltas have not told."""
        kind = item.get("type")
        if kind == "function_call":
            return self._call(index, item)
        opened = self._opened(index)
        del self._open[index]
        if kind == "message":
            return self._message(opened, item)
        return self._opaque(index, opened, item)

    def rest(self) -> list[Json] | None:
        """The details that are known only when the answer is complete."""
        return self._places.rest() or None

    def _opened(self, index: int) -> _Open:
        opened = self._open.get(index)
        if opened is None:
            opened = self._open[index] = _Open()
            self.begun = True
        return opened

    def _call(self, index: int, item: Json) -> ChunkChoice | None:
        begun = self._opened(index).call is not None
        told = None if begun else self.added(index, item)
        opened = self._open.pop(index)
        self._places.call(opened.call_id)
        given = arguments(item.get("arguments")) or ""
        if opened.arguments or not given or opened.call is None:
            return told
        return _said(Delta(tool_calls=[ToolCallDelta(index=opened.call, function=FunctionCallDelta(arguments=given))]))

    def _message(self, opened: _Open, item: Json) -> ChunkChoice | None:
        parts = objects(item.get("content")) or []
        whole = "".join(text(part.get("text")) for part in parts)
        refusal = None if opened.refused else "".join(text(part.get("refusal")) for part in parts) or None
        start = self._chars - opened.chars
        content, values = None, []
        if not opened.chars:
            self._chars += len(whole)
            content = whole if whole or not (refusal or opened.refused) else None
            values = [value for part in parts for value in objects(part.get("logprobs")) or ()]
        self._places.text(opened.chars or len(whole), item.get("phase"))
        cited = citations(parts, start) or None
        if content is None and refusal is None and cited is None:
            return None
        delta = Delta(content=content, refusal=refusal, annotations=cited)
        return ChunkChoice(index=0, delta=delta, logprobs=logprobs(values))

    def _opaque(self, index: int, opened: _Open, item: Json) -> ChunkChoice | None:
        thought = None
        if item.get("type") == "reasoning" and not opened.thought and (parts := thoughts(item)):
            lead = BETWEEN_THOUGHTS if self._thought else ""
            thought = lead + BETWEEN_THOUGHTS.join(parts)
            self._thought = (index, "", 0)
        media, bare = image(item)
        kept = is_worth_keeping(item)
        details = self._places.item(bare, pictured=media is not None) if kept else None
        if thought is None and details is None:
            return None
        return _said(
            Delta(reasoning_content=thought, reasoning_details=details, media=None if media is None else [media])
        )
