"""Speech by Gemini models, which write raw samples into a streamed answer.

Source: https://ai.google.dev/gemini-api/docs/speech-generation (2026-11)
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRejected
from gateway.model.speech import SpeechCall, SpeechChunk
from gateway.model.wav import wav_header
from gateway.providers.contract import SpeechParser, Target
from gateway.providers.wire.failures import broke_off
from gateway.providers.wire.gemini_answer import ANSWER, Answer, Blob, Figures, given
from gateway.providers.wire.gemini_failures import failure_in, failure_of
from gateway.providers.wire.gemini_task import RESERVED
from gateway.providers.wire.options import with_options
from gateway.providers.wire.sse import SseDecoder

EVENTS = "text/event-stream"
_RATE = re.compile(r"rate=(\d{4,6})")
USUAL_RATE_HZ = 24_000


class GeminiSpeech(msgspec.Struct, frozen=True):
    """`prefix`: of the path, where the base URL has none of it."""

    prefix: str = "/v1beta"

    def render(self, call: SpeechCall, target: Target) -> HttpRequest:
        """How long the answer may be is said, because that is what is held for."""
        if call.response_format not in ("wav", "pcm"):
            raise CapabilityNotSupported(f"{target.model.id} gives wav and pcm only.", param="response_format")
        text = f"{call.instructions}: {call.input}" if call.instructions else call.input
        voice = {"prebuiltVoiceConfig": {"voiceName": call.voice_id}}
        config: Json = {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": voice},
            "maxOutputTokens": call.most_tokens(target.model.max_output_tokens),
        }
        body: Json = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        body = with_options(body, call.options_for(target.provider), target.provider, RESERVED | {"generationConfig"})
        model = quote(target.model.id, safe="")
        url = f"{target.base_url}{self.prefix}/models/{model}:streamGenerateContent?alt=sse"
        body = {**body, "generationConfig": config}
        return HttpRequest("POST", url, {"content-type": "application/json"}, msgspec.json.encode(body))

    def parser(self, call: SpeechCall, content_type: str, target: Target) -> SpeechParser:
        if content_type and not content_type.lower().startswith(EVENTS):
            raise ProviderError(f"{target.provider} answered with something that is no recording.")
        return SampleParser(target, in_wav=call.response_format == "wav")

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


class SampleParser:
    """`in_wav`: whether a header goes before the first samples."""

    def __init__(self, target: Target, *, in_wav: bool) -> None:
        self._provider, self._in_wav = target.provider, in_wav
        self._sse = SseDecoder()
        self._figures: Figures | None = None
        self._has_begun = False
        self._finished: str | int | None = None

    def feed(self, data: bytes) -> Iterator[SpeechChunk]:
        for event in self._sse.feed(data):
            yield from self._read(event.data)

    def close(self) -> Iterator[SpeechChunk]:
        yield from self.feed(b"\n\n")
        usage = self._figures.tokens() if self._figures else None
        if self._finished not in (None, "STOP") and (self._has_begun or self._finished == "MAX_TOKENS"):
            raise broke_off(self._provider, str(self._finished), usage)
        if self._finished not in (None, "STOP"):
            raise ProviderRejected(
                f"{self._provider} spoke nothing: {self._finished}", param="input", provider_code=str(self._finished)
            )
        if self._finished is None or not self._has_begun:
            raise ProviderError(f"{self._provider}'s recording ended early.")
        if usage is not None:
            yield SpeechChunk(usage=usage)

    def _read(self, data: bytes) -> Iterator[SpeechChunk]:
        try:
            answer: Answer = ANSWER.decode(data)
            blobs = [part.inline_data for candidate in answer.candidates or () for part in candidate.parts]
            spoken = [(b64decode(blob.data, validate=True), blob) for blob in blobs if blob is not None]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            raise ProviderError(f"{self._provider} sent an event that is not documented.") from None
        if given(answer.error):
            raise failure_in(data, self._provider) or ProviderError(f"{self._provider} reported an error.")
        if answer.usage_metadata is not None:
            self._figures = answer.usage_metadata
        if answer.blocked is not None:
            self._finished = str(answer.blocked.block_reason)
        for candidate in answer.candidates or ():
            self._finished = candidate.finish_reason or self._finished
        for samples, blob in spoken:
            yield from self._with_header(samples, blob)

    def _with_header(self, samples: bytes, blob: Blob) -> Iterator[SpeechChunk]:
        if not samples:
            return
        if self._in_wav and not self._has_begun:
            rate = _RATE.search(blob.mime_type)
            yield SpeechChunk(wav_header(int(rate[1]) if rate else USUAL_RATE_HZ))
        self._has_begun = True
        yield SpeechChunk(samples)
