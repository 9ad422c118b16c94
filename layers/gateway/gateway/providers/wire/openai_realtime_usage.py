"""What a turn used, as OpenAI's events tell it.

Source: https://developers.openai.com/api/docs/guides/realtime-costs (2026-11)
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gateway.model.chat import Json
from gateway.model.units import unit_name
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage


class _Classes(Struct, frozen=True):
    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _Heard(_Classes, frozen=True):
    cached_tokens: int | None = None
    cached_tokens_details: _Classes | None = None


class _Said(_Classes, frozen=True):
    reasoning_tokens: int | None = None


class _Usage(Struct, frozen=True):
    """`seconds`: of a transcription that is charged by its length."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _Heard | None = None
    output_token_details: _Said | None = None
    seconds: float | None = None


def usage_of(member: Json | None) -> TokenUsage | None:
    """Of a `usage` member; None where there is none. Raises msgspec.ValidationError for what is none."""
    if not member:
        return None
    said = msgspec.convert(member, _Usage)
    if said.seconds is not None:
        return TokenUsage(units={unit_name("audio_ms"): round(said.seconds * 1000)})
    heard, spoken = said.input_token_details or _Heard(), said.output_token_details or _Said()
    cached = heard.cached_tokens_details or _Classes()
    return TokenUsage(
        prompt_tokens=said.input_tokens or 0,
        completion_tokens=said.output_tokens or 0,
        prompt=PromptTokensDetails(
            cached_tokens=heard.cached_tokens or 0,
            audio_tokens=heard.audio_tokens or 0,
            image_tokens=heard.image_tokens or 0,
            cached_audio_tokens=cached.audio_tokens or 0,
        ),
        completion=CompletionTokensDetails(
            audio_tokens=spoken.audio_tokens or 0, reasoning_tokens=spoken.reasoning_tokens or 0
        ),
    )
