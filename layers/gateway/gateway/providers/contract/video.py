"""Videos: a provider is asked for one, asked how it gets on, and gives it when it is finished."""

from __future__ import annotations

from typing import Protocol

from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.video import VideoOrder, VideoState
from gateway.providers.contract.target import Target


class VideoWire(Protocol):
    """One way to have videos made over HTTP; implementations live in `providers/wire`."""

    def render(self, order: VideoOrder, target: Target) -> HttpRequest:
        """The request without credentials.

        Raises CapabilityNotSupported (400) for what this wire or model cannot honour.
        """
        ...

    def parse(self, response: HttpResponse, target: Target) -> str:
        """How the provider calls the video that it has begun. Raises ProviderError (502)."""
        ...

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        """Asks how it gets on."""
        ...

    def state(self, response: HttpResponse, target: Target) -> VideoState:
        """A 2xx answer to that. Raises ProviderError (502)."""
        ...

    def download(self, source: str, target: Target, /) -> HttpRequest | None:
        """The request for the finished video, to be sent with credentials; None: the URL opens for everybody."""
        ...

    def cancel(self, remote_id: str, target: Target, /) -> HttpRequest | None:
        """None where nothing can stop it."""
        ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx."""
        ...
