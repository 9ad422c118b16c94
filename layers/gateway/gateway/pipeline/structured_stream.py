"""Structured output as it streams: the same content as that of a whole reply, and held to its schema at the end."""

from __future__ import annotations

import msgspec

from gateway.model.fence import Unfenced
from gateway.model.reply import Chunk, ChunkChoice, Delta
from gateway.pipeline.structured import Expectation

NOTHING = Delta()


class StreamedExpectation(msgspec.Struct):
    """Holds a stream against the schema: chunks are shaped as they come, their text is collected as they go, the end
    checks it.
    """

    expected: Expectation
    _shapes: dict[int, _AsTool | _AsText] = msgspec.field(default_factory=dict)
    _texts: dict[int, list[str]] = msgspec.field(default_factory=dict)
    _otherwise: set[int] = msgspec.field(default_factory=set)

    def shaped(self, chunk: Chunk) -> Chunk:
        """The chunk in the client's own terms. A choice that says nothing yet is left out."""
        if self.expected.way == "native" or not chunk.choices:
            return chunk
        choices = [self._shape(choice.index).shaped(choice) for choice in chunk.choices]
        return msgspec.structs.replace(chunk, choices=[choice for choice in choices if not _says_nothing(choice)])

    def collect(self, chunk: Chunk) -> None:
        """Of a shaped chunk, as the client gets it."""
        for choice in chunk.choices:
            delta, texts = choice.delta, self._texts.setdefault(choice.index, [])
            if delta.refusal or delta.tool_calls or choice.finish_reason == "content_filter":
                self._otherwise.add(choice.index)
            if delta.content:
                texts.append(delta.content)

    def finish(self) -> None:
        """Raises ReplyBreaksSchema (422)."""
        for index, pieces in sorted(self._texts.items()):
            if index not in self._otherwise:
                self.expected.check_text("".join(pieces))

    def _shape(self, index: int) -> _AsTool | _AsText:
        return self._shapes.setdefault(index, _AsTool() if self.expected.way == "tool" else _AsText())


class _AsTool(msgspec.Struct):
    """Pieces of the first call's arguments are the content. Words wait: they are it only when there is no call."""

    _call: int | None = None
    _words: list[str] = msgspec.field(default_factory=list)

    def shaped(self, choice: ChunkChoice) -> ChunkChoice:
        delta = choice.delta
        if delta.content:
            self._words.append(delta.content)
        content = self._arguments(delta)
        if choice.finish_reason is not None and self._call is None:
            content = "".join(self._words)
        delta = msgspec.structs.replace(delta, content=content or None, tool_calls=None)
        finish_reason = "stop" if choice.finish_reason == "tool_calls" else choice.finish_reason
        return msgspec.structs.replace(choice, delta=delta, finish_reason=finish_reason)

    def _arguments(self, delta: Delta) -> str:
        calls = delta.tool_calls or []
        if calls and self._call is None:
            self._call = calls[0].index
        functions = [call.function for call in calls if call.index == self._call]
        return "".join(function.arguments or "" for function in functions if function is not None)


class _AsText(msgspec.Struct):
    _text: Unfenced = msgspec.field(default_factory=Unfenced)

    def shaped(self, choice: ChunkChoice) -> ChunkChoice:
        content = self._text.take(choice.delta.content or "")
        if choice.finish_reason is not None:
            content += self._text.finish()
        if content == (choice.delta.content or ""):
            return choice
        delta = msgspec.structs.replace(choice.delta, content=content or None)
        return msgspec.structs.replace(choice, delta=delta, logprobs=None)


def _says_nothing(choice: ChunkChoice) -> bool:
    return choice.delta == NOTHING and choice.finish_reason is None and choice.logprobs is None
