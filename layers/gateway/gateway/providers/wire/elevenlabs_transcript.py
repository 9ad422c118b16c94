"""ElevenLabs' transcripts: words with their times, of which the segments are made here.

Source: https://elevenlabs.io/docs/api-reference/speech-to-text/convert (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.transcription import Segment, Sound, Transcript, TranscriptionCall, Word
from gateway.providers.contract import Target, TranscriptParser
from gateway.providers.wire.elevenlabs_failures import failure_of
from gateway.providers.wire.multipart import fields_of, form_request
from gateway.providers.wire.options import with_options

RESERVED = frozenset(
    {"model_id", "file", "cloud_storage_url", "source_url", "language_code", "timestamps_granularity"}
    | {"webhook", "webhook_id", "use_multi_channel", "additional_formats", "tag_audio_events"}
    | {"keyterms", "entity_detection", "entity_redaction"}  # which are paid besides
)
SENTENCE_ENDS = (".", "!", "?", "\u2026", "\u3002")
PAUSE_S, LONGEST_CHARACTERS = 1.0, 120


class TheirWord(Struct):
    """`type`: "word", "spacing" or "audio_event"."""

    text: str
    type: str = "word"
    start: float | None = None
    end: float | None = None


class Answer(Struct):
    text: str
    language_code: str | None = None
    words: list[TheirWord] = []
    audio_duration_secs: float | None = None


_ANSWER = msgspec.json.Decoder(Answer)


class ElevenLabsTranscript(msgspec.Struct, frozen=True):
    def render(self, call: TranscriptionCall, sound: Sound, target: Target, /) -> HttpRequest:
        granularity = "word" if call.timed else "none"
        fields = [("model_id", target.model.id), ("timestamps_granularity", granularity), ("tag_audio_events", "false")]
        if call.language is not None:
            fields.append(("language_code", call.language))
        if call.temperature is not None:
            fields.append(("temperature", str(call.temperature)))
        options = with_options({}, call.options_for(target.provider), target.provider, RESERVED)
        return form_request(f"{target.base_url}/v1/speech-to-text", [*fields, *fields_of(options)], sound)

    def parse(self, response: HttpResponse, target: Target) -> Transcript:
        try:
            answer = _ANSWER.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{target.provider} answered with something that is not documented.") from None
        words = tuple(
            Word(word=one.text, start=one.start, end=one.end)
            for one in answer.words
            if one.type == "word" and one.start is not None and one.end is not None
        )
        seconds = answer.audio_duration_secs
        return Transcript(
            text=answer.text,
            language=answer.language_code,
            duration_ms=None if seconds is None else int(-(-seconds * 1000 // 1)),
            segments=tuple(segments_of(words)),
            words=words,
        )

    def stream(self, target: Target) -> TranscriptParser:
        raise ProviderError(f"{target.provider} streams no transcripts over HTTP.")

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target)


def segments_of(words: Iterable[Word]) -> Iterator[Segment]:
    """A segment ends with a sentence, at a pause, or when it is long."""
    number, gathered = 0, list[Word]()
    for word in words:
        if gathered and _ends(gathered, word):
            yield _segment(number, gathered)
            number, gathered = number + 1, []
        gathered.append(word)
    if gathered:
        yield _segment(number, gathered)


def _ends(gathered: list[Word], following: Word) -> bool:
    last = gathered[-1]
    length = sum(len(word.word) + 1 for word in gathered)
    is_long = length + len(following.word) > LONGEST_CHARACTERS
    return last.word.endswith(SENTENCE_ENDS) or following.start - last.end > PAUSE_S or is_long


def _segment(number: int, words: list[Word]) -> Segment:
    return Segment(id=number, start=words[0].start, end=words[-1].end, text=" ".join(word.word for word in words))
