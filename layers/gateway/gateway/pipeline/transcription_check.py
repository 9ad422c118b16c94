"""Can the chosen model write that down, and how much can it use? Answered before anything is sent or paid."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from gateway.model.catalog import ModelFacts
from gateway.model.errors import CapabilityNotSupported
from gateway.model.estimate import BYTES_PER_TOKEN
from gateway.model.transcription import Sound, Transcript, TranscriptionCall, longest_ms
from gateway.model.usage import PromptTokensDetails, TokenUsage
from gateway.pipeline.route import AnyRoute
from gateway.pipeline.sound import Length

FOR_THE_GATEWAY = "conversation_id"
MOST_HEARD_PER_SECOND = 32
"""Gemini's, of which no other model takes more: https://ai.google.dev/gemini-api/docs/audio#technical-details"""
USUAL_HEARD_PER_SECOND = 10
TOKENS_AROUND = 128


def check_transcription(call: TranscriptionCall, route: AnyRoute) -> None:
    """Raises CapabilityNotSupported (400), naming the parameter."""
    for name in call.metadata or {}:
        if name != FOR_THE_GATEWAY:
            raise CapabilityNotSupported("Nobody who writes recordings down takes metadata.", param=f"metadata.{name}")
    for param, what in _lacking(call, route.facts):
        raise CapabilityNotSupported(f"{route.model_id} {what}.", param=param)


def _lacking(call: TranscriptionCall, facts: ModelFacts) -> Iterator[tuple[str, str]]:
    known = facts.transcription
    if known is None:
        return
    if call.stream and not facts.can("streaming"):
        yield "stream", "does not stream"
    for name in ("language", "languages", "prompt", "keywords", "temperature"):
        if getattr(call, name) is not None and not getattr(known, name):
            yield name, f"takes no {name}"
    if call.include and not known.logprobs:
        yield "include", "gives no log probabilities"
    if call.timed - set(known.timestamps):
        told = bool(call.timestamp_granularities) and bool(known.timestamps)
        yield "timestamp_granularities" if told else "response_format", "tells no times of that"


def usage_at_most(call: TranscriptionCall, length: Length, facts: ModelFacts) -> TokenUsage:
    """Providers count whole seconds, and may find another one at the ends that encoders leave."""
    longest_s = -(-length.longest_ms // 1000) + 1
    units = _units(longest_s * 1000, facts)
    if facts.prices is None:
        return TokenUsage(units=units)
    said = len((call.prompt or "").encode()) + TOKENS_AROUND
    heard = MOST_HEARD_PER_SECOND * longest_s
    if facts.context_tokens is not None:
        heard = min(heard, facts.context_tokens)
    return TokenUsage(
        prompt_tokens=heard + said,
        completion_tokens=call.most_tokens(length.longest_ms, length.size_bytes, facts),
        prompt=PromptTokensDetails(audio_tokens=heard),
        units=units,
    )


def usage_of(
    call: TranscriptionCall, sound: Sound, facts: ModelFacts, made: Transcript | None, written: str = ""
) -> TokenUsage:
    """Of a recording that was sent, by the provider's figures where it gave some. `written`: what came of it."""
    told_ms = (made.billed_ms or made.duration_ms) if made else None
    lasts_ms = told_ms if told_ms is not None else longest_ms(sound.duration_ms, len(sound.data))
    units = _units(lasts_ms, facts)
    if made is not None and made.usage is not None:
        return replace(made.usage, units={**units, **made.usage.units})
    if facts.prices is None:
        return TokenUsage(units=units, estimated=told_ms is None and sound.duration_ms is None)
    heard = USUAL_HEARD_PER_SECOND * -(-lasts_ms // 1000)
    said = -(-len((call.prompt or "").encode()) // BYTES_PER_TOKEN)
    return TokenUsage(
        prompt_tokens=heard + said,
        completion_tokens=-(-len(written.encode()) // BYTES_PER_TOKEN),
        prompt=PromptTokensDetails(audio_tokens=heard),
        units=units,
        estimated=True,
    )


def _units(lasts_ms: int, facts: ModelFacts) -> dict[str, int]:
    """Of a model that is paid by the time."""
    if all(price.unit != "audio_ms" for price in facts.unit_prices):
        return {}
    least_ms = facts.transcription.min_ms if facts.transcription else 0
    return {"audio_ms": max(lasts_ms, least_ms)}
