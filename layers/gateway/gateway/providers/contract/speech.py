"""Speech: a text becomes a recording, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.speech import SpeechCall, SpeechChunk
from gateway.providers.contract.target import Target


class SpeechParser(Protocol):
    """Turns the bytes of a 2xx answer, cut anywhere, into pieces of the recording.

    `feed` and `close` raise `ProviderFailure` for an error in the answer; `close` also when there was no recording, or
    when it ended before the provider said that it was complete.
    """

    def feed(self, data: bytes) -> Iterable[SpeechChunk]: ...

    def close(self) -> Iterable[SpeechChunk]: ...


class SpeechWire(Protocol):
    """One way to ask for speech over HTTP; implementations live in `providers/wire`.

    What a call asks for has been checked against the catalog, and `response_format` is set.
    """

    def render(self, call: SpeechCall, target: Target) -> HttpRequest:
        """The request without credentials, for an answer that comes piece by piece.

        Raises CapabilityNotSupported (400) for a parameter that this wire or model cannot honour.
        """
        ...

    def parser(self, call: SpeechCall, content_type: str, target: Target, /) -> SpeechParser:
        """For one 2xx answer of this type. Raises ProviderError (502) when that is no type of a recording."""
        ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx. Status decides; the text only refines a 400."""
        ...
