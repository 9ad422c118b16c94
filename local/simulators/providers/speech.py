"""What simulated speakers have in common, and OpenAI's: recordings that depend on the text alone, in pieces."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from local.simulators.script import count_tokens, next_id
from local.simulators.sounds import recording
from local.simulators.switches import Switches, strip_directives
from local.simulators.wire import (
    ANY,
    TEXT,
    UNKNOWN_MODEL,
    Asked,
    Event,
    Json,
    Refused,
    Rule,
    Said,
    check_parameters,
    decimal,
    require,
    sse,
)

TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
TOKENS_PER_CHARACTER = 2
USUAL_PIECES = 4
OPENAI_RULES: Mapping[str, Rule] = {
    "input": TEXT,
    "instructions": TEXT,
    "model": TEXT,
    "response_format": TEXT,
    "speed": decimal(0.25, 4),
    "stream_format": TEXT,
    "voice": ANY,
}


def spoken(text: str, voice: str, kind: str) -> bytes:
    """What a simulator makes of a text, directives taken out; a WAV file says only afterwards how long it is."""
    return recording(f"{voice}: {text}", kind, sized=False)


def pieces_of(audio: bytes, switches: Switches) -> Iterator[bytes]:
    size = max(1, -(-len(audio) // (switches.chunks or USUAL_PIECES)))
    for at in range(0, len(audio), size):
        yield audio[at : at + size]


@dataclass(frozen=True)
class Wording:
    """How the pieces go out: plain bytes, or events around them."""

    content_type: str
    piece: Callable[[bytes], bytes] = bytes
    end: "Callable[[Voiced], bytes]" = lambda _asked: b""


class Voiced(Asked):
    """A checked request."""

    stream = True

    def __init__(self, model: str, text: str, voice: str, kind: str, wording: Wording) -> None:
        self._model, self._voice, self._kind, self._wording = model, voice, kind, wording
        self.text, self.settings = strip_directives(text)
        self.stream_type = wording.content_type
        self.switches = Switches()

    @property
    def model(self) -> str:
        return self._model

    @property
    def tokens(self) -> tuple[int, int]:
        """Of the text, and spoken."""
        said, made = self.switches.prompt_tokens, self.switches.completion_tokens
        usual = TOKENS_PER_CHARACTER * len(self.text)
        return count_tokens(self.text) if said is None else said, usual if made is None else made

    def say(self, switches: Switches) -> Said:
        self.switches = switches
        return Said(next_id(), bytes, self._events)

    def _events(self) -> Iterator[Event]:
        for piece in pieces_of(spoken(self.text, self._voice, self._kind), self.switches):
            yield Event(self._wording.piece(piece), content=True)
        if end := self._wording.end(self):
            yield Event(end)


def _delta(piece: bytes) -> bytes:
    return sse({"type": "speech.audio.delta", "audio": b64encode(piece).decode()})


def _done(asked: Voiced) -> bytes:
    done: Json = {"type": "speech.audio.done"}
    if asked.switches.usage != "none":
        text, made = asked.tokens
        done["usage"] = {"input_tokens": text, "output_tokens": made, "total_tokens": text + made}
    return sse(done) + b"data: [DONE]\n\n"


EVENTS = Wording("text/event-stream; charset=utf-8", _delta, _done)


@dataclass(frozen=True)
class SpeechRules:
    """How one provider checks a request in OpenAI's shape."""

    path: str = "/audio/speech"
    rules: Mapping[str, Rule] = field(default_factory=lambda: OPENAI_RULES)
    max_input: int = 4096
    formats: tuple[str, ...] = tuple(TYPES)
    without_events: tuple[str, ...] = ("tts-1",)

    def read(self, body: Json) -> Voiced:
        """Raises Refused."""
        require(body, "model", "input", "voice")
        check_parameters(body, self.rules, strict=True)
        model, kind = body["model"], body.get("response_format") or "mp3"
        if model == UNKNOWN_MODEL:
            raise Refused("model_not_found", f"The model `{UNKNOWN_MODEL}` does not exist.", param="model")
        if not body["input"] or len(body["input"]) > self.max_input:
            raise Refused("out_of_range", f"String should have 1 to {self.max_input} characters.", param="input")
        if kind not in self.formats:
            raise Refused("wrong_type", f"Invalid value: '{kind}'.", param="response_format", code="invalid_value")
        is_plain = model.startswith(self.without_events)
        if is_plain and (body.get("instructions") or body.get("stream_format") == "sse"):
            param = "instructions" if body.get("instructions") else "stream_format"
            raise Refused("unsupported_parameter", f"'{param}' is not supported with this model.", param=param)
        voice = body["voice"] if isinstance(body["voice"], str) else str(body["voice"].get("id"))
        wording = EVENTS if body.get("stream_format") == "sse" else Wording(TYPES[kind])
        return Voiced(model, body["input"], voice, kind, wording)


OPENAI_SPEECH = SpeechRules()
