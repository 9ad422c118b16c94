"""A recording that is the body of the answer, as it comes."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model.provider_errors import ProviderError
from gateway.model.speech import SpeechChunk
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target

AUDIO_TYPES = ("audio/", "application/octet-stream", "application/ogg", "binary/octet-stream")


class PlainAudio:
    """`usage`: what the answer's head says of it, if anything."""

    def __init__(self, content_type: str, target: Target, usage: TokenUsage | None = None) -> None:
        if not content_type.lower().startswith(AUDIO_TYPES):
            raise ProviderError(f"{target.provider} answered with something that is no recording.")
        self._provider, self._usage = target.provider, usage
        self._has_begun = False

    def feed(self, data: bytes) -> Iterator[SpeechChunk]:
        if data:
            self._has_begun = True
            yield SpeechChunk(data)

    def close(self) -> Iterator[SpeechChunk]:
        if not self._has_begun:
            raise ProviderError(f"{self._provider} answered with an empty recording.")
        if self._usage is not None:
            yield SpeechChunk(usage=self._usage)
