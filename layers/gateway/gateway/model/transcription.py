"""What was said, in writing: the normalised call, what a provider understood, and what the client receives.

Source of names and bounds:
https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions/methods/create (2026-11).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.model.call import Call
from gateway.model.catalog import ModelFacts
from gateway.model.completion import GatewayReport
from gateway.model.money import NANO_PER_USD
from gateway.model.units import UnitName
from gateway.model.unshown import Unshown
from gateway.model.usage import TokenUsage
from gateway.model.wire import Outbound

TranscriptFormat: TypeAlias = Literal["json", "text", "srt", "verbose_json", "vtt"]
Granularity: TypeAlias = Literal["word", "segment"]
Language: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Keyword: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]

LEAST_BYTES_PER_SECOND = 500
"""Speech that can be understood takes no fewer: https://www.rfc-editor.org/rfc/rfc6716#section-2 begins at 6 kbit/s."""
MOST_TOKENS_PER_SECOND, MOST_TOKENS_BESIDE = 20, 8192


class TranscriptionCall(Call, frozen=True, kw_only=True):
    """`file`: a file of the tenant, a URL, or a data: URL; None where the bytes came with the form.

    `language`: ISO 639-1; `languages`: those that may be spoken. `prompt`: what it is about; `keywords`: words that may
    come up. `include`: "logprobs" of the tokens.
    """

    file: Annotated[str, Meta(min_length=1)] | None = None
    language: Language | None = None
    languages: Annotated[list[Language], Meta(min_length=1, max_length=32)] | None = None
    prompt: Annotated[str, Meta(max_length=10_000)] | None = None
    keywords: Annotated[list[Keyword], Meta(min_length=1, max_length=1000)] | None = None
    response_format: TranscriptFormat | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    stream: bool | None = None
    timestamp_granularities: Annotated[list[Granularity], Meta(max_length=2)] | None = None
    include: list[Literal["logprobs"]] | None = None

    @property
    def is_streamed(self) -> bool:
        return bool(self.stream)

    @property
    def timed(self) -> frozenset[Granularity]:
        """Of what times are asked for; subtitles are made of segments."""
        if self.response_format in ("srt", "vtt"):
            return frozenset({"segment"})
        if self.response_format == "verbose_json":
            return frozenset(self.timestamp_granularities or ("segment",))
        return frozenset()

    def most_tokens(self, duration_ms: int | None, size_bytes: int, facts: ModelFacts) -> int:
        """That the text can have, with what a model thinks before."""
        seconds = -(-longest_ms(duration_ms, size_bytes) // 1000)
        most = MOST_TOKENS_BESIDE + MOST_TOKENS_PER_SECOND * seconds
        return most if facts.max_output_tokens is None else min(most, facts.max_output_tokens)


def longest_ms(duration_ms: int | None, size_bytes: int) -> int:
    """Of a recording, by its size where it does not say how long it is."""
    return -(-size_bytes * 1000 // LEAST_BYTES_PER_SECOND) if duration_ms is None else duration_ms


class Sound(Unshown, frozen=True):
    """A recording. `content_type`: what its bytes are. `duration_ms`: None where they do not say."""

    UNSHOWN: ClassVar = ("data",)

    data: bytes
    content_type: str
    duration_ms: int | None = None


class Segment(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """`start`, `end`: seconds. The others: OpenAI's and Groq's models tell them, all others do not."""

    id: int
    start: float
    end: float
    text: str
    seek: int | UnsetType = UNSET
    tokens: list[int] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    avg_logprob: float | UnsetType = UNSET
    compression_ratio: float | UnsetType = UNSET
    no_speech_prob: float | UnsetType = UNSET


class Word(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """`start`, `end`: seconds."""

    word: str
    start: float
    end: float


class Transcript(Struct, frozen=True):
    """`duration_ms`: of the recording; `billed_ms`: what of it is paid, where that is another number. `languages`: by
    their codes. What the provider does not tell is None, or empty.
    """

    text: str
    language: str | None = None
    languages: tuple[str, ...] | None = None
    duration_ms: int | None = None
    billed_ms: int | None = None
    segments: tuple[Segment, ...] = ()
    words: tuple[Word, ...] = ()
    logprobs: list[dict[str, Any]] | None = None
    usage: TokenUsage | None = None

    @property
    def heard_languages(self) -> list[HeardLanguage] | UnsetType:
        return UNSET if self.languages is None else [HeardLanguage(code=code) for code in self.languages]


class TranscriptChunk(Struct, frozen=True):
    """A piece of the text; `whole`: at the end, all of it."""

    delta: str = ""
    logprobs: list[dict[str, Any]] | None = None
    whole: Transcript | None = None


class InputTokens(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    text_tokens: int
    audio_tokens: int


class TranscriptionUsage(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """`type`: how the model is paid, by "tokens" or by "duration", of which there are `seconds`.

    `units`: what is charged by another measure than tokens. `cost_estimate`: USD, null when the price is unknown.
    `estimated`: counted by the gateway.
    """

    type: Literal["tokens", "duration"]
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: InputTokens
    units: dict[UnitName, int]
    cost_estimate: float | None
    estimated: bool
    seconds: float | UnsetType = UNSET

    @classmethod
    def of(cls, usage: TokenUsage, cost_nano_usd: int | None) -> TranscriptionUsage:
        audio_ms = usage.units.get("audio_ms")
        heard = usage.prompt.audio_tokens
        return cls(
            type="tokens" if audio_ms is None else "duration",
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            input_token_details=InputTokens(text_tokens=usage.prompt_tokens - heard, audio_tokens=heard),
            units=usage.units,
            cost_estimate=None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD,
            estimated=usage.estimated,
            seconds=UNSET if audio_ms is None else audio_ms / 1000,
        )


class HeardLanguage(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    code: str


class Transcription(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """With `response_format` json."""

    text: str
    model: str
    usage: TranscriptionUsage
    gateway: GatewayReport
    languages: list[HeardLanguage] | UnsetType = UNSET
    logprobs: list[dict[str, Any]] | UnsetType = UNSET


class TranscriptionVerbose(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """With `response_format` verbose_json. `language`: as the provider names it. `duration`: seconds."""

    task: Literal["transcribe"] = "transcribe"
    text: str
    language: str | None
    duration: float | None
    model: str
    usage: TranscriptionUsage
    gateway: GatewayReport
    segments: list[Segment] | UnsetType = UNSET
    words: list[Word] | UnsetType = UNSET


class TranscriptDelta(Outbound, frozen=True, kw_only=True, tag_field="type", tag="transcript.text.delta"):
    delta: str
    logprobs: list[dict[str, Any]] | UnsetType = UNSET


class TranscriptDone(Outbound, frozen=True, kw_only=True, tag_field="type", tag="transcript.text.done"):
    text: str
    usage: TranscriptionUsage
    gateway: GatewayReport
    languages: list[HeardLanguage] | UnsetType = UNSET
    logprobs: list[dict[str, Any]] | UnsetType = UNSET
