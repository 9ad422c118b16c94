"""Values put back into the chunks of a stream as they pass; of a token that is cut, the beginning waits for its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from gateway.hooks.masking import Masking, Restorer
from gateway.model.reply import Chunk, ChunkChoice, Delta, FunctionCallDelta, ToolCallDelta

_TEXTS = ("content", "refusal", "reasoning_content")


class RestoredChunks:
    """Of one stream. What waits when a choice ends goes with its end."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._choices: dict[int, _Choice] = {}

    def take(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        return [replace(chunk, choices=[self._choice(choice) for choice in chunk.choices]) for chunk in chunks]

    def finish(self) -> list[Chunk]:
        """What waits still, of choices that had no end."""
        waiting = {index: choice.rest(Delta()) for index, choice in self._choices.items()}
        return [
            Chunk(choices=[ChunkChoice(index=index, delta=rest)]) for index, rest in waiting.items() if rest != Delta()
        ]

    def _choice(self, choice: ChunkChoice) -> ChunkChoice:
        known = self._choices.setdefault(choice.index, _Choice(self._masking))
        delta = known.take(choice.delta)
        if choice.finish_reason is not None:
            delta = known.rest(delta)
        logprobs = choice.logprobs if delta.content == choice.delta.content else None
        return replace(choice, delta=delta, logprobs=logprobs)


class _Choice:
    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._texts = {name: Restorer(masking) for name in _TEXTS}
        self._calls: dict[int, Restorer] = {}

    def take(self, delta: Delta) -> Delta:
        changes: dict[str, Any] = {
            name: restorer.take(text) for name, restorer in self._texts.items() if (text := getattr(delta, name))
        }
        if delta.tool_calls:
            changes["tool_calls"] = [self._call(piece) for piece in delta.tool_calls]
        return replace(delta, **changes) if changes else delta

    def rest(self, delta: Delta) -> Delta:
        """The delta with what waits behind what it says."""
        for name, restorer in self._texts.items():
            if rest := restorer.rest():
                delta = replace(delta, **{name: (getattr(delta, name) or "") + rest})
        rests = [(index, rest) for index, restorer in self._calls.items() if (rest := restorer.rest())]
        pieces = [ToolCallDelta(index=index, function=FunctionCallDelta(arguments=rest)) for index, rest in rests]
        return replace(delta, tool_calls=[*(delta.tool_calls or ()), *pieces]) if pieces else delta

    def _call(self, piece: ToolCallDelta) -> ToolCallDelta:
        if piece.function is None or not piece.function.arguments:
            return piece
        restorer = self._calls.setdefault(piece.index, Restorer(self._masking, in_json=True))
        return replace(piece, function=replace(piece.function, arguments=restorer.take(piece.function.arguments)))
