"""OpenAI's transcriptions, as OpenAI and its imitators speak them.

Source: https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.transcription import Segment, Sound, Transcript, TranscriptChunk, TranscriptionCall, Word
from gateway.model.usage import PromptTokensDetails, TokenUsage
from gateway.providers.contract import Target, TranscriptParser
from gateway.providers.wire.multipart import fields_of, form_request
from gateway.providers.wire.openai_chat_failure import interruption, refusal
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.options import with_options
from gateway.providers.wire.sse import SseDecoder

RESERVED = frozenset({"model", "file", "url", "stream", "response_format", "timestamp_granularities", "include"})


class Details(Struct):
    audio_tokens: int | None = None


class Usage(Struct):
    """By tokens, or by duration in `seconds`."""

    type: str = "tokens"
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: Details | None = None
    seconds: float | None = None


class TheirLanguage(Struct):
    code: str


class TheirSegment(Struct):
    start: float
    end: float
    text: str
    seek: int | UnsetType = UNSET
    tokens: list[int] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    avg_logprob: float | UnsetType = UNSET
    compression_ratio: float | UnsetType = UNSET
    no_speech_prob: float | UnsetType = UNSET


class TheirWord(Struct):
    word: str
    start: float
    end: float


class Answer(Struct):
    text: str | None = None
    language: str | None = None
    languages: list[TheirLanguage] | None = None
    duration: float | None = None
    segments: list[TheirSegment] | None = None
    words: list[TheirWord] | None = None
    logprobs: list[dict[str, Any]] | None = None
    usage: Usage | None = None
    error: Any = None


class Event(Struct):
    type: str = ""
    delta: str | None = None
    text: str | None = None
    languages: list[TheirLanguage] | None = None
    logprobs: list[dict[str, Any]] | None = None
    usage: Usage | None = None


_ANSWER = msgspec.json.Decoder(Answer)
_EVENT = msgspec.json.Decoder(Event)


class OpenAiTranscriptions(msgspec.Struct, frozen=True):
    """`always_verbose`: only then it says how long the recording is, which is what is paid."""

    always_verbose: bool = False

    def render(self, call: TranscriptionCall, sound: Sound, target: Target, /) -> HttpRequest:
        verbose = bool(call.timed) or self.always_verbose
        fields = [("model", target.model.id), ("response_format", "verbose_json" if verbose else "json")]
        languages = call.languages
        if call.language is not None and _takes_languages(target):
            languages = [call.language, *(languages or ())]
        elif call.language is not None:
            fields.append(("language", call.language))
        for name in ("prompt", "temperature"):
            if (value := getattr(call, name)) is not None:
                fields.append((name, str(value)))
        fields += [("languages[]", code) for code in dict.fromkeys(languages or ())]
        fields += [("keywords[]", word) for word in call.keywords or ()]
        fields += [("timestamp_granularities[]", name) for name in sorted(call.timed)]
        fields += [("include[]", name) for name in call.include or ()]
        if call.stream:
            fields.append(("stream", "true"))
        options = with_options({}, call.options_for(target.provider), target.provider, RESERVED)
        return form_request(f"{target.base_url}/audio/transcriptions", [*fields, *fields_of(options)], sound)

    def parse(self, response: HttpResponse, target: Target) -> Transcript:
        try:
            answer = _ANSWER.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{target.provider} answered with something that is not documented.") from None
        if answer.text is None:
            if answer.error:
                raise interruption({"error": answer.error}, target, Quirks())
            raise ProviderError(f"{target.provider} answered without a text.")
        return Transcript(
            text=answer.text,
            language=answer.language,
            languages=_codes(answer.languages),
            duration_ms=_ms(answer.duration),
            billed_ms=_ms(answer.usage.seconds) if answer.usage else None,
            segments=tuple(_segment(number, one) for number, one in enumerate(answer.segments or ())),
            words=tuple(Word(word=one.word, start=one.start, end=one.end) for one in answer.words or ()),
            logprobs=answer.logprobs,
            usage=_tokens(answer.usage),
        )

    def stream(self, target: Target) -> TranscriptParser:
        return EventParser(target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, Quirks())


class EventParser:
    """`transcript.text.delta` events, and `transcript.text.done` with the whole text and what it took."""

    def __init__(self, target: Target) -> None:
        self._target, self._decoder, self._is_done = target, SseDecoder(), False

    def feed(self, data: bytes) -> Iterator[TranscriptChunk]:
        for event in self._decoder.feed(data):
            if event.data != b"[DONE]":
                yield from self._read(event.name, event.data)

    def close(self) -> Iterator[TranscriptChunk]:
        yield from self.feed(b"\n\n")
        if not self._is_done:
            raise ProviderError(f"{self._target.provider} broke off.")

    def _read(self, name: str, data: bytes) -> Iterator[TranscriptChunk]:
        try:
            event = _EVENT.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{self._target.provider} sent an event that cannot be read.") from None
        if name == "error" or event.type in ("error", ""):
            raise interruption(data, self._target, Quirks())
        if event.type == "transcript.text.delta" and event.delta:
            yield TranscriptChunk(event.delta, event.logprobs)
        if event.type == "transcript.text.done":
            self._is_done = True
            yield TranscriptChunk(
                whole=Transcript(
                    event.text or "",
                    languages=_codes(event.languages),
                    billed_ms=_ms(event.usage.seconds) if event.usage else None,
                    logprobs=event.logprobs,
                    usage=_tokens(event.usage),
                )
            )


def _takes_languages(target: Target) -> bool:
    """Such a model has a list in place of `language`, which it does not heed:
    https://developers.openai.com/api/docs/guides/speech-to-text (2026-11)
    """
    facts = target.model.transcription
    return facts is not None and facts.languages


def _codes(languages: list[TheirLanguage] | None) -> tuple[str, ...] | None:
    return None if languages is None else tuple(one.code for one in languages)


def _segment(number: int, one: TheirSegment) -> Segment:
    return Segment(id=number, **{name: getattr(one, name) for name in one.__struct_fields__})


def _ms(seconds: float | None) -> int | None:
    """Rounded up."""
    return None if seconds is None else int(-(-seconds * 1000 // 1))


def _tokens(usage: Usage | None) -> TokenUsage | None:
    if usage is None or usage.input_tokens is None:
        return None
    heard = usage.input_token_details.audio_tokens if usage.input_token_details else None
    return TokenUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens or 0,
        prompt=PromptTokensDetails(audio_tokens=heard or 0),
    )
