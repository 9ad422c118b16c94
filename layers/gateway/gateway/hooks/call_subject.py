"""What is the same for every request and reply that hooks see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec
from msgspec.structs import replace

from gateway.hooks.subject import Change, Fixed, options_fixed, options_with, unless_changed
from gateway.model.call import Call
from gateway.model.chat import Json
from gateway.model.errors import GatewayError
from gateway.model.hook import HookFailed

C = TypeVar("C", bound=Call)


class CallSubject(msgspec.Struct, Generic[C], frozen=True):
    """A request, which brings its `with_texts`. `PATCHED`: the members that a hook may change.

    `read`: reads a body as one that a client sent. Raises GatewayError for a wrong one.
    """

    PATCHED: ClassVar[frozenset[str]]

    call: C
    read: Callable[[bytes], C]

    def common_with(self, change: Change) -> dict[str, Any]:
        """The members that every call has, changed. Providers tell end users apart by `user`: a token is no user."""
        call = self.call
        metadata = call.metadata
        return {
            "provider_options": options_with(call.provider_options, change),
            "metadata": metadata and {name: change(value) for name, value in metadata.items()},
            "user": unless_changed(call.user, change),
        }

    def fixed(self) -> Iterator[Fixed]:
        for name in self.call.metadata or ():
            yield Fixed("metadata", name)
        for options in (self.call.provider_options or {}).values():
            for text in options_fixed(options):
                yield Fixed("provider_options", text)
        yield from self.own_fixed()

    def own_fixed(self) -> Iterable[Fixed]:
        """In the members that not every call has."""
        return ()

    def written(self) -> Self:
        return self

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        return shown(self.call)

    def patched(self, patch: Json) -> Self:
        """Raises HookFailed for members that no hook may change, and for a request that would be refused."""
        if not patch.keys() <= self.PATCHED:
            raise HookFailed("patch_member")
        own: Json = msgspec.to_builtins(self.call)
        try:
            call = self.read(msgspec.json.encode({**own, **self._given(patch)}))
        except GatewayError as error:
            raise HookFailed("patch_request") from error
        self._check(call)
        return self.of(call)

    def of(self, call: C) -> Self:
        """The same request where it is the same call."""
        return self if call == self.call else replace(self, call=call)

    def _given(self, patch: Json) -> Json:
        """With what `body` does not show put back."""
        return patch

    def _check(self, call: C) -> None:
        """Raises HookFailed for a patch that this kind of request cannot take."""


def shown(call: Call) -> Json:
    """As its client sent it, but for where the client is told of its end: that URL may open something."""
    body: Json = msgspec.to_builtins(msgspec.structs.replace(call, webhook_url=None))
    return body


class WordlessReply:
    """A reply in which nobody says anything, so that nothing of it can be patched."""

    __slots__ = ()

    def with_texts(self, _change: Change) -> Self:
        return self

    def fixed(self) -> Iterable[Fixed]:
        return ()

    def restored(self, _change: Change) -> Self:
        return self

    def written(self) -> Self:
        return self

    def patched(self, _patch: Json) -> Self:
        """Raises HookFailed, whatever it is."""
        raise HookFailed("patch_member")
