"""Images: a text becomes pictures."""

from __future__ import annotations

from typing import Protocol

from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.images import Images, ImagesCall
from gateway.model.provider_errors import ProviderFailure
from gateway.providers.contract.target import Target


class ImagesWire(Protocol):
    """One way to ask for images over HTTP; implementations live in `providers/wire`.

    What a call asks for has been checked against the catalog: no "auto" is left, and a size is in pixels or is a
    shape, as the model's facts have it.
    """

    @property
    def max_images(self) -> int:
        """How many images one request may ask for. More are asked for in several."""
        ...

    def render(self, call: ImagesCall, target: Target) -> HttpRequest:
        """The request without credentials.

        Raises CapabilityNotSupported (400) for a parameter that this wire or model cannot honour.
        """
        ...

    def parse(self, response: HttpResponse, target: Target) -> Images:
        """A 2xx answer. Raises ProviderError (502) when it is not what the provider documents."""
        ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx. Status decides; the text only refines a 400."""
        ...
