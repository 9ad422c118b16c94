"""A request for embeddings as hooks see it. Tokens are shown as the numbers that they are: there is no text in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec.structs import replace as with_members

from gateway.hooks.subject import Change, json_with
from gateway.model.chat import Json
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.errors import GatewayError
from gateway.model.hook import HookFailed

PATCHED = frozenset({"input", "dimensions"})


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """`read`: reads a body as one that a client sent. Raises GatewayError for a wrong one."""

    call: EmbeddingsCall
    read: Callable[[bytes], EmbeddingsCall]

    def with_texts(self, change: Change) -> EmbeddingsRequest:
        changed = with_members(
            self.call,
            input=_texts(self.call.input, change),
            provider_options=json_with(self.call.provider_options, change),
        )
        return self if changed == self.call else replace(self, call=changed)

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        body: Json = msgspec.to_builtins(self.call)
        return body

    def patched(self, patch: Json) -> EmbeddingsRequest:
        """Raises HookFailed for members that no hook may change, for a request that would be refused, and for another
        number of inputs, for the client knows its vectors by their places.
        """
        if not patch.keys() <= PATCHED:
            raise HookFailed("patch_member")
        try:
            call = self.read(msgspec.json.encode({**self.body(), **patch}))
        except GatewayError as error:
            raise HookFailed("patch_request") from error
        if len(call.inputs) != len(self.call.inputs):
            raise HookFailed("patch_input")
        return self if call == self.call else replace(self, call=call)


def _texts(given: str | list[Any], change: Change) -> str | list[Any]:
    """Without the numbers, which are tokens."""
    if isinstance(given, str):
        return change(given)
    return [change(one) if isinstance(one, str) else one for one in given]
