"""Transcription: a recording becomes text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.transcription import Sound, Transcript, TranscriptChunk, TranscriptionCall
from gateway.providers.contract.target import Target


class TranscriptParser(Protocol):
    """Turns the bytes of a streamed answer, cut anywhere, into pieces of the text; the last one has the whole.

    `feed` and `close` raise `ProviderFailure` for an error event; `close` also when the stream ended before the
    provider said that it was complete.
    """

    def feed(self, data: bytes) -> Iterable[TranscriptChunk]: ...

    def close(self) -> Iterable[TranscriptChunk]: ...


class TranscriptionWire(Protocol):
    """One way to have a recording written down over HTTP; implementations live in `providers/wire`.

    What a call asks for has been checked against the catalog: `call.timed` is what times are wanted of.
    """

    def render(self, call: TranscriptionCall, sound: Sound, target: Target, /) -> HttpRequest:
        """The request without credentials. `call.stream` decides between a whole and a streamed answer.

        Raises CapabilityNotSupported (400) for a parameter that this wire or model cannot honour.
        """
        ...

    def parse(self, response: HttpResponse, target: Target) -> Transcript:
        """A 2xx answer. Raises ProviderError (502) when it is not what the provider documents."""
        ...

    def stream(self, target: Target) -> TranscriptParser:
        """For one streamed 2xx answer, of a model that streams."""
        ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx. Status decides; the text only refines a 400."""
        ...
