"""Deepgram's transcripts: the recording is the body, everything else is in the URL.

Source: https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded (2026-11)
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.transcription import Segment, Sound, Transcript, TranscriptionCall, Word
from gateway.providers.contract import Target, TranscriptParser
from gateway.providers.wire.deepgram_failures import failure_of
from gateway.providers.wire.query import query_of

RESERVED = frozenset(
    {"model", "language", "detect_language", "callback", "callback_method", "multichannel"}
    | {
        "diarize",
        "diarize_model",
        "redact",
        "keyterm",
        "detect_entities",
        "summarize",
        "topics",
        "intents",
        "sentiment",
    }
)
"""Where the answer goes, and what is paid besides: each channel by itself, and add-ons that have prices of their own:
https://deepgram.com/pricing (2026-08)."""


class TheirWord(Struct):
    word: str
    start: float
    end: float
    punctuated_word: str | None = None


class Alternative(Struct):
    transcript: str
    words: list[TheirWord] = []


class Channel(Struct):
    alternatives: list[Alternative] = []
    detected_language: str | None = None


class Utterance(Struct):
    start: float
    end: float
    transcript: str


class Results(Struct):
    channels: list[Channel] = []
    utterances: list[Utterance] | None = None


class Metadata(Struct, frozen=True):
    duration: float | None = None


class Answer(Struct):
    results: Results
    metadata: Metadata = Metadata()


_ANSWER = msgspec.json.Decoder(Answer)


class DeepgramListen(msgspec.Struct, frozen=True):
    def render(self, call: TranscriptionCall, sound: Sound, target: Target, /) -> HttpRequest:
        parameters: Json = {"model": target.model.id, "smart_format": True}
        if "segment" in call.timed:
            parameters["utterances"] = True
        parameters |= {"language": call.language} if call.language else {"detect_language": True}
        query = query_of(parameters, call.options_for(target.provider), target.provider, RESERVED)
        return HttpRequest(
            "POST", f"{target.base_url}/v1/listen{query}", {"content-type": sound.content_type}, sound.data
        )

    def parse(self, response: HttpResponse, target: Target) -> Transcript:
        try:
            answer = _ANSWER.decode(response.body)
            channel = answer.results.channels[0]
            best = channel.alternatives[0]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError):
            raise ProviderError(f"{target.provider} answered with something that is not documented.") from None
        duration = answer.metadata.duration
        spoken = answer.results.utterances or ()
        return Transcript(
            text=best.transcript,
            language=channel.detected_language,
            duration_ms=None if duration is None else int(-(-duration * 1000 // 1)),
            segments=tuple(
                Segment(id=number, start=one.start, end=one.end, text=one.transcript)
                for number, one in enumerate(spoken)
            ),
            words=tuple(Word(word=one.punctuated_word or one.word, start=one.start, end=one.end) for one in best.words),
        )

    def stream(self, target: Target) -> TranscriptParser:
        raise ProviderError(f"{target.provider} streams no transcripts over HTTP.")

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target)
