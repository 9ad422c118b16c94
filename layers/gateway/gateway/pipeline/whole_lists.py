"""Lists of objects in the deltas of a stream: given whole, with the chunk that finishes their choice.

OpenAI's SDK puts such lists together by the number `index` of their objects, and fails on the second delta with an
object that has none: https://github.com/openai/openai-python/blob/main/src/openai/lib/streaming/_deltas.py
"""

from __future__ import annotations

import msgspec

from gateway.model.chat import Json
from gateway.model.fold import Details
from gateway.model.reply import Chunk, ChunkChoice, Delta

NOTHING = Delta()


class WholeLists:
    """Of one stream. A choice that says nothing else is left out."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._finished: set[int] = set()

    def take(self, chunk: Chunk) -> Chunk:
        """The chunk without lists, except for what it finishes."""
        if not any(_is_concerned(choice) for choice in chunk.choices):
            return chunk
        choices = [self._choice(choice) if _is_concerned(choice) else choice for choice in chunk.choices]
        return msgspec.structs.replace(chunk, choices=[choice for choice in choices if choice is not None])

    def _choice(self, choice: ChunkChoice) -> ChunkChoice | None:
        if choice.index in self._finished:
            return choice
        held = self._held.setdefault(choice.index, _Held())
        held.add(choice.delta)
        if choice.finish_reason is not None:
            self._finished.add(choice.index)
            delta = msgspec.structs.replace(choice.delta, **self._held.pop(choice.index).whole())
        else:
            delta = msgspec.structs.replace(choice.delta, reasoning_details=None, annotations=None, media=None)
            if delta == NOTHING and choice.logprobs is None:
                return None
        return msgspec.structs.replace(choice, delta=delta)


class _Held(msgspec.Struct):
    """The lists of one choice so far; reasoning may come in pieces."""

    details: Details = msgspec.field(default_factory=Details)
    annotations: list[Json] = msgspec.field(default_factory=list)
    media: list[Json] = msgspec.field(default_factory=list)

    def add(self, delta: Delta) -> None:
        for piece in delta.reasoning_details or ():
            self.details.add(piece)
        self.annotations += delta.annotations or ()
        self.media += delta.media or ()

    def whole(self) -> dict[str, list[Json] | None]:
        lists = {"reasoning_details": self.details.whole(), "annotations": self.annotations, "media": self.media}
        return {name: items or None for name, items in lists.items()}


def _is_concerned(choice: ChunkChoice) -> bool:
    delta = choice.delta
    return bool(choice.finish_reason or delta.reasoning_details or delta.annotations or delta.media)
