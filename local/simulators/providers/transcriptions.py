"""What simulated writers have in common, and OpenAI's: a text that depends on the recording's bytes alone.

Directives stand in the recording itself, anywhere among its bytes, or in the prompt.
"""

import hashlib
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from local.simulators.form import form_fields
from local.simulators.http1 import Request
from local.simulators.script import count_tokens, next_id
from local.simulators.switches import Switches, strip_directives
from local.simulators.wire import UNKNOWN_MODEL, Asked, Event, Json, Refused, Said, encode, sse

WORDS = [
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliet",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
]
HEARD_PER_SECOND = 10
_IN_BYTES = re.compile(rb"\[\[[ -~]{1,200}?\]\]")
_NAME = re.compile(r'name="([^"]*)"')
_BEGINS = (b"RIFF", b"ID3", b"\xff", b"fLaC", b"OggS", b"\x1aE\xdf\xa3")


def sentences_of(audio: bytes) -> list[str]:
    """Two of four words each."""
    digest = hashlib.sha256(audio).digest()
    words = [WORDS[byte % 16] for byte in digest[:8]]
    return [f"{' '.join(four).capitalize()}." for four in (words[:4], words[4:])]


def text_of(audio: bytes) -> str:
    return " ".join(sentences_of(audio))


def seconds_of(audio: bytes) -> float:
    """Of a WAV file by its header, of any other as if it had 32 kbit/s."""
    if audio[:4] == b"RIFF" and len(audio) > 44:
        (per_s,) = struct.unpack_from("<I", audio, 28)
        seconds: float = round((len(audio) - 44) / per_s, 3)
        return seconds
    return round(len(audio) / 4000, 3)


def timed_words(audio: bytes) -> list[tuple[str, float, float]]:
    words = text_of(audio).split()
    each = seconds_of(audio) / len(words)
    return [(word, round(at * each, 3), round((at + 1) * each, 3)) for at, word in enumerate(words)]


def timed_sentences(audio: bytes) -> list[tuple[str, float, float]]:
    words = timed_words(audio)
    return [(text, words[at][1], words[at + 3][2]) for text, at in zip(sentences_of(audio), (0, 4), strict=True)]


class Heard(Asked):
    """A checked request. ``write`` makes the reply, ``speak`` its events."""

    def __init__(
        self,
        model: str,
        audio: bytes,
        prompt: str,
        write: "Callable[[Heard], Json]",
        speak: "Callable[[Heard], Iterator[Event]] | None" = None,
    ) -> None:
        self._model, self._write, self._speak = model, write, speak
        self.stream = speak is not None
        self.audio = audio
        self.prompt, self.settings = strip_directives(prompt)
        for found in _IN_BYTES.findall(audio):
            self.settings |= strip_directives(found.decode())[1]
        self.switches = Switches()

    @property
    def model(self) -> str:
        return self._model

    def say(self, switches: Switches) -> Said:
        self.switches = switches
        speak = self._speak
        return Said(next_id(), lambda: encode(self._write(self)), lambda: speak(self) if speak else iter(()))

    @property
    def has_usage(self) -> bool:
        return self.switches.usage != "none"

    def usage(self) -> Json:
        heard = self.switches.prompt_tokens
        heard = round(seconds_of(self.audio) * HEARD_PER_SECOND) if heard is None else heard
        said, made = count_tokens(self.prompt), count_tokens(text_of(self.audio))
        return {
            "type": "tokens",
            "input_tokens": heard + said,
            "input_token_details": {"text_tokens": said, "audio_tokens": heard},
            "output_tokens": made,
            "total_tokens": heard + said + made,
        }


def audio_in(fields: list[tuple[str, bytes]]) -> tuple[bytes, dict[str, list[str]]]:
    """The recording of a form, and what else it says. Raises Refused."""
    audio, said = b"", dict[str, list[str]]()
    for head, data in fields:
        found = _NAME.search(head)
        name = found[1] if found else ""
        if name == "file":
            if "filename=" not in head:
                raise Refused("wrong_type", "The file has no name.", param="file")
            audio = data
        else:
            said.setdefault(name, []).append(data.decode())
    check_audio(audio)
    return audio, said


def check_audio(audio: bytes) -> None:
    if not audio.startswith(_BEGINS) and audio[4:8] != b"ftyp":
        raise Refused("wrong_type", "The audio file could not be decoded or its format is not supported.", param="file")


@dataclass(frozen=True)
class TranscriptionRules:
    """How one provider checks a form in OpenAI's shape, and answers. `timed`, `by_length`, `finds_languages`: models
    that tell times, are paid by the length, and tell the languages that they heard.
    """

    path: str = "/audio/transcriptions"
    timed: tuple[str, ...] = ("whisper",)
    by_length: tuple[str, ...] = ("whisper", "gpt-transcribe")
    finds_languages: tuple[str, ...] = ("gpt-transcribe",)
    streams: bool = True
    told: bool = True

    def read(self, request: Request) -> Heard:
        """Raises Refused."""
        audio, said = audio_in(form_fields(request))
        model, wanted = _one(said, "model", ""), _one(said, "response_format", "json")
        if not model:
            raise Refused("missing_parameter", "Missing required parameter: 'model'.", param="model")
        if model == UNKNOWN_MODEL:
            raise Refused("model_not_found", f"The model `{UNKNOWN_MODEL}` does not exist.", param="model")
        is_timed = model.startswith(self.timed)
        if wanted not in (("json", "text", "srt", "verbose_json", "vtt") if is_timed else ("json", "text")):
            message = f"response_format '{wanted}' is not compatible with model '{model}'."
            raise Refused("wrong_type", message, param="response_format", code="unsupported_value")
        if wanted not in ("json", "verbose_json"):
            raise Refused("unsupported_parameter", "Simulated transcripts are JSON only.", param="response_format")
        of = said.get("timestamp_granularities[]", [])
        if of and wanted != "verbose_json":
            raise Refused("unsupported_parameter", "Timestamps need verbose_json.", param="timestamp_granularities")
        logprobs = "logprobs" in said.get("include[]", [])
        is_streamed = _one(said, "stream", "false") == "true" and self.streams and not is_timed

        if model.startswith(self.finds_languages) and "temperature" in said:
            raise Refused("unsupported_parameter", "Unsupported parameter: 'temperature'.", param="temperature")
        languages = said.get("languages[]", ["en"])

        def write(asked: Heard) -> Json:
            return self._reply(asked, wanted, of, logprobs=logprobs) | self._facts(asked, languages)

        def speak(asked: Heard) -> Iterator[Event]:
            return _events(asked, self._facts(asked, languages))

        return Heard(model, audio, _one(said, "prompt", ""), write, speak if is_streamed else None)

    def _facts(self, asked: Heard, languages: list[str]) -> Json:
        """What stands at the end of a reply, whole or streamed."""
        found: Json = {}
        if asked.model.startswith(self.finds_languages):
            found["languages"] = [{"code": code} for code in languages]
        if self.told and asked.has_usage:
            seconds = -(-seconds_of(asked.audio) // 1)
            is_by_length = asked.model.startswith(self.by_length)
            found["usage"] = {"type": "duration", "seconds": seconds} if is_by_length else asked.usage()
        return found

    def _reply(self, asked: Heard, wanted: str, of: list[str], *, logprobs: bool) -> Json:
        audio, seconds = asked.audio, seconds_of(asked.audio)
        reply: Json = {"text": text_of(audio)}
        if wanted == "verbose_json":
            reply |= {"task": "transcribe", "language": "english", "duration": seconds}
            if not of or "segment" in of:
                reply["segments"] = [_segment(number, *one) for number, one in enumerate(timed_sentences(audio))]
            if "word" in of:
                reply["words"] = [
                    {"word": text.strip("."), "start": start, "end": end} for text, start, end in timed_words(audio)
                ]
        if logprobs:
            reply["logprobs"] = _logprobs(text_of(audio))
        return reply


def _one(said: dict[str, list[str]], name: str, otherwise: str) -> str:
    return said.get(name, [otherwise])[0]


def _segment(number: int, text: str, start: float, end: float) -> Json:
    return {
        "id": number,
        "seek": 0,
        "start": start,
        "end": end,
        "text": f" {text}",
        "tokens": [50364, 1],
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 1.1,
        "no_speech_prob": 0.01,
    }


def _logprobs(text: str) -> list[Any]:
    return [{"token": word, "logprob": -0.01, "bytes": [*word.encode()]} for word in text.split()]


def _events(asked: Heard, facts: Json) -> Iterator[Event]:
    text = text_of(asked.audio)
    for at, word in enumerate(text.split()):
        yield Event(sse({"type": "transcript.text.delta", "delta": f" {word}" if at else word}), content=True)
    yield Event(sse({"type": "transcript.text.done", "text": text} | facts))
    yield Event(b"data: [DONE]\n\n")


OPENAI_TRANSCRIPTIONS = TranscriptionRules()
GROQ_TRANSCRIPTIONS = TranscriptionRules(streams=False, told=False)
