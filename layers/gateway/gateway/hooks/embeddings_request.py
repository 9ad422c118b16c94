"""A request for embeddings as hooks see it. Tokens are shown as the numbers that they are: there is no text in them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace as with_members

from gateway.hooks.call_subject import CallSubject
from gateway.hooks.subject import Change
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.hook import HookFailed


class EmbeddingsRequest(CallSubject[EmbeddingsCall], frozen=True):
    PATCHED = frozenset({"input", "dimensions"})

    def with_texts(self, change: Change) -> EmbeddingsRequest:
        changed = with_members(self.call, input=_texts(self.call.input, change), **self.common_with(change))
        return self.of(changed)

    def _check(self, call: EmbeddingsCall) -> None:
        """The client knows its vectors by their places."""
        if len(call.inputs) != len(self.call.inputs):
            raise HookFailed("patch_input")


def _texts(given: str | list[Any], change: Change) -> str | list[Any]:
    """Without the numbers, which are tokens."""
    if isinstance(given, str):
        return change(given)
    return [change(one) if isinstance(one, str) else one for one in given]
