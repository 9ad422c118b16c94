"""A reply with embeddings as hooks see it: that there are so many, of which model. Vectors are no text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.hooks.subject import Change
from gateway.model.chat import Json
from gateway.model.hook import HookFailed


@dataclass(frozen=True, slots=True)
class EmbeddingsReply:
    """`vectors`: how many. `model`: as the client is told it."""

    vectors: int
    model: str

    def with_texts(self, change: Change) -> EmbeddingsReply:  # noqa: ARG002 - there is none
        return self

    def restored(self, change: Change) -> EmbeddingsReply:  # noqa: ARG002 - same
        return self

    def documents(self) -> Iterable[bytes]:
        return ()

    def body(self) -> Json:
        data = [{"object": "embedding", "index": index} for index in range(self.vectors)]
        return {"object": "list", "model": self.model, "data": data}

    def patched(self, patch: Json) -> EmbeddingsReply:  # noqa: ARG002 - whatever it is
        """Raises HookFailed, for nothing can be changed."""
        raise HookFailed("patch_member")
