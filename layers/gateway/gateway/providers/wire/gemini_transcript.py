"""Transcripts by Gemini models, which are told to write down what they hear.

Source: https://ai.google.dev/gemini-api/docs/audio (2026-11)
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRejected
from gateway.model.transcription import Sound, Transcript, TranscriptChunk, TranscriptionCall
from gateway.providers.contract import Target, TranscriptParser
from gateway.providers.wire.gemini_answer import ANSWER, Answer, Figures, given
from gateway.providers.wire.gemini_failures import failure_in, failure_of
from gateway.providers.wire.gemini_task import RESERVED
from gateway.providers.wire.options import with_options
from gateway.providers.wire.sse import SseDecoder

RESERVED_CONFIG = frozenset({"responseModalities"})
TASK = "Write down what is said in this recording, word for word, and nothing else."


class GeminiTranscript(msgspec.Struct, frozen=True):
    """`prefix`: of the path, where the base URL has none of it."""

    prefix: str = "/v1beta"

    def render(self, call: TranscriptionCall, sound: Sound, target: Target, /) -> HttpRequest:
        """How long the answer may be is said, because that is what is held for."""
        config: Json = {"maxOutputTokens": call.most_tokens(sound.duration_ms, len(sound.data), target.model)}
        if call.temperature is not None:
            config["temperature"] = call.temperature
        blob = {"mimeType": sound.content_type, "data": b64encode(sound.data).decode()}
        contents = [{"role": "user", "parts": [{"inlineData": blob}, {"text": _task(call)}]}]
        options = call.options_for(target.provider)
        body = {"contents": contents, "generationConfig": config}
        body = with_options(body, options, target.provider, RESERVED, RESERVED_CONFIG)
        verb = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        url = f"{target.base_url}{self.prefix}/models/{quote(target.model.id, safe='')}:{verb}"
        return HttpRequest("POST", url, {"content-type": "application/json"}, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Transcript:
        parser = AnswerParser(target.provider)
        text = "".join(chunk.delta for chunk in parser.read(response.body))
        return parser.whole(text)

    def stream(self, target: Target) -> TranscriptParser:
        return AnswerParser(target.provider)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


def _task(call: TranscriptionCall) -> str:
    language = f" The language is {call.language}." if call.language else ""
    words = f" These words may come up: {call.prompt}" if call.prompt else ""
    return TASK + language + words


class AnswerParser:
    """Each event is an answer of its own; so is the whole answer."""

    def __init__(self, provider: str) -> None:
        self._provider, self._sse = provider, SseDecoder()
        self._figures: Figures | None = None
        self._finished: str | int | None = None
        self._texts: list[str] = []

    def feed(self, data: bytes) -> Iterator[TranscriptChunk]:
        for event in self._sse.feed(data):
            yield from self.read(event.data)

    def close(self) -> Iterator[TranscriptChunk]:
        yield from self.feed(b"\n\n")
        yield TranscriptChunk(whole=self.whole("".join(self._texts)))

    def read(self, data: bytes) -> Iterator[TranscriptChunk]:
        try:
            answer: Answer = ANSWER.decode(data)
            texts = [
                part.text
                for candidate in answer.candidates or ()
                for part in candidate.parts
                if part.text and not part.thought
            ]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{self._provider} answered with something that is not documented.") from None
        if given(answer.error):
            raise failure_in(data, self._provider) or ProviderError(f"{self._provider} reported an error.")
        if answer.usage_metadata is not None:
            known = self._figures
            self._figures = known.updated(answer.usage_metadata) if known else answer.usage_metadata
        if answer.blocked is not None:
            self._finished = str(answer.blocked.block_reason)
        for candidate in answer.candidates or ():
            self._finished = candidate.finish_reason or self._finished
        for text in texts:
            self._texts.append(text)
            yield TranscriptChunk(text)

    def whole(self, text: str) -> Transcript:
        """Raises ProviderRejected (400) when it was withheld or cut, ProviderError (502) when it ended early."""
        usage = self._figures.tokens() if self._figures else None
        if self._finished is None:
            raise ProviderError(f"{self._provider}'s transcript ended early.")
        if self._finished != "STOP":
            reason = str(self._finished)
            message = f"{self._provider} gave no whole transcript: {reason}."
            error = ProviderRejected(message, param="file", provider_code=reason)
            error.charged = usage
            raise error
        return Transcript(text.strip(), usage=usage)
