"""Embeddings: texts become vectors."""

from __future__ import annotations

from typing import Protocol

from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.providers.contract.target import Target


class EmbeddingsWire(Protocol):
    """One way to ask for vectors over HTTP; implementations live in `providers/wire`."""

    @property
    def max_inputs(self) -> int | None:
        """How many inputs one request may have, None: as many as you like. Longer lists are split.

        A catalog row may say less, or more, of one model.
        """
        ...

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        """The request without credentials.

        Raises CapabilityNotSupported (400) for a parameter that this wire or model cannot honour.
        """
        ...

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        """A 2xx answer. Raises ProviderError (502) when it is not what the provider documents."""
        ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx. Status decides; the text only refines a 400."""
        ...
