"""Chats in the background: a provider is asked, asked how it gets on, and gives its reply when that is finished."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from gateway.model.chat import ChatCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract.target import Target


class BackgroundState(Struct, frozen=True):
    """`reply`: the whole one. `failure`: why there is none. Neither while the provider is at it."""

    reply: Reply | None = None
    failure: ProviderFailure | None = None

    @property
    def is_over(self) -> bool:
        return self.reply is not None or self.failure is not None


class BackgroundWire(Protocol):
    """One way to have chats answered in the background over HTTP; implementations live in `providers/wire`."""

    def render(self, call: ChatCall, target: Target) -> HttpRequest:
        """The request without credentials, of a call that is not streamed.

        Raises CapabilityNotSupported (400) for what this wire or model cannot honour.
        """
        ...

    def parse(self, response: HttpResponse, target: Target) -> str:
        """How the provider calls what it has begun. Raises ProviderFailure."""
        ...

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        """Asks how it gets on."""
        ...

    def state(self, response: HttpResponse, target: Target) -> BackgroundState:
        """A 2xx answer to that, or to `cancel`. Raises ProviderError (502) for one that is none."""
        ...

    def cancel(self, remote_id: str, target: Target, /) -> HttpRequest | None:
        """None where nothing can stop it."""
        ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx."""
        ...
