"""Speech of a text: the normalised call, what a provider makes piece by piece, and what the client receives.

Source of names and bounds: https://developers.openai.com/api/reference/resources/audio/subresources/speech (2026-11).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from gateway.model.call import Call
from gateway.model.catalog import SpeechFormat
from gateway.model.completion import GatewayReport
from gateway.model.money import NANO_PER_USD
from gateway.model.units import UnitName
from gateway.model.unshown import Unshown
from gateway.model.usage import TokenUsage
from gateway.model.wire import Inbound, Outbound

VoiceName = Annotated[str, Meta(min_length=1, max_length=128)]

CONTENT_TYPES: dict[SpeechFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""`pcm`: 24 kHz, 16 bits, little endian, one channel, without a header."""


MOST_TOKENS_PER_CHARACTER = 16
"""Of what is spoken: a digit that is a long word, spoken slowly, at 25 tokens a second."""
LEAST_MOST_TOKENS = 1024


class OwnVoice(Inbound, frozen=True, kw_only=True):
    """A voice that the owner of the provider's account has made."""

    id: VoiceName


class SpeechCall(Call, frozen=True, kw_only=True):
    """`input`: what is said. `instructions`: how. `speed`: 1 is the voice's own.

    `stream_format`: "sse" gives events, "audio" bytes as they come; None leaves it to the `Accept` header.
    """

    input: Annotated[str, Meta(min_length=1, max_length=100_000)]
    voice: VoiceName | OwnVoice
    response_format: SpeechFormat | None = None
    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None
    instructions: Annotated[str, Meta(max_length=4096)] | None = None
    stream_format: Literal["sse", "audio"] | None = None

    @property
    def is_streamed(self) -> bool:
        return self.stream_format is not None

    @property
    def voice_id(self) -> str:
        return self.voice if isinstance(self.voice, str) else self.voice.id

    def most_tokens(self, model_limit: int | None) -> int:
        """That the recording can have, at a model that counts them."""
        most = max(LEAST_MOST_TOKENS, MOST_TOKENS_PER_CHARACTER * len(self.input))
        return most if model_limit is None else min(most, model_limit)


class SpeechChunk(Unshown, frozen=True):
    """A piece of the recording, in the format that was asked for; `usage`: once the provider tells it."""

    UNSHOWN: ClassVar = ("audio",)

    audio: bytes = b""
    usage: TokenUsage | None = None


class SpeechUsage(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """`units`: what is charged by another measure than tokens. `cost_estimate`: USD, null when the price is unknown.
    `estimated`: counted by the gateway.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    units: dict[UnitName, int]
    cost_estimate: float | None
    estimated: bool

    @classmethod
    def of(cls, usage: TokenUsage, cost_nano_usd: int | None) -> SpeechUsage:
        return cls(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            units=usage.units,
            cost_estimate=None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD,
            estimated=usage.estimated,
        )


class Speech(Outbound, frozen=True, kw_only=True, tag_field="object", tag="audio.speech"):
    """A recording that was stored. `expires_at`: Unix seconds, of the file."""

    url: str
    url_expires_at: int
    file_id: str
    content_type: str
    size_bytes: int
    expires_at: int | None
    model: str
    usage: SpeechUsage
    gateway: GatewayReport


class SpeechDelta(Outbound, frozen=True, kw_only=True, tag_field="type", tag="speech.audio.delta"):
    """`audio`: in base64."""

    audio: str


class SpeechDone(Outbound, frozen=True, kw_only=True, tag_field="type", tag="speech.audio.done"):
    usage: SpeechUsage
    gateway: GatewayReport
