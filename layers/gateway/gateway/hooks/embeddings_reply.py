"""A reply with embeddings as hooks see it: that there are so many, of which model. Vectors are no text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.hooks.call_subject import WordlessReply
from gateway.model.chat import Json


@dataclass(frozen=True, slots=True)
class EmbeddingsReply(WordlessReply):
    """`vectors`: how many. `model`: as the client is told it."""

    vectors: int
    model: str

    def documents(self) -> Iterable[bytes]:
        return ()

    def body(self) -> Json:
        data = [{"object": "embedding", "index": index} for index in range(self.vectors)]
        return {"object": "list", "model": self.model, "data": data}
