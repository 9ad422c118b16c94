"""A reply with embeddings as hooks see it: that there are so many, of which model. Vectors are no text."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gateway.hooks.call_subject import WordlessReply
from gateway.model.chat import Json


class EmbeddingsReply(Struct, WordlessReply, frozen=True):
    """`vectors`: how many. `model`: as the client is told it."""

    vectors: int
    model: str

    def documents(self) -> Iterable[bytes]:
        return ()

    def body(self) -> Json:
        data = [{"object": "embedding", "index": index} for index in range(self.vectors)]
        return {"object": "list", "model": self.model, "data": data}
