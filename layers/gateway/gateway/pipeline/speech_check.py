"""Can the chosen model speak like that, and how much can that use? Answered before anything is sent or paid."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.catalog import ModelFacts, SpeechFacts, SpeechFormat
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.estimate import BYTES_PER_TOKEN
from gateway.model.speech import OwnVoice, SpeechCall
from gateway.model.usage import CompletionTokensDetails, TokenUsage
from gateway.pipeline.route import AnyRoute

USUAL_FORMAT: SpeechFormat = "mp3"
FOR_THE_GATEWAY = "conversation_id"
TOKENS_AROUND_A_TEXT = 64
USUAL_TOKENS_PER_CHARACTER = 2


def checked(call: SpeechCall, route: AnyRoute) -> SpeechCall:
    """The call with its format. Raises CapabilityNotSupported or InvalidRequest (400), naming the parameter and what
    the model takes.
    """
    for name in call.metadata or {}:
        if name != FOR_THE_GATEWAY:
            raise CapabilityNotSupported("No speaker takes metadata.", param=f"metadata.{name}")
    facts = route.facts.speech
    if facts is None:
        return replace(call, response_format=call.response_format or USUAL_FORMAT)
    if facts.max_input is not None and len(call.input) > facts.max_input:
        raise InvalidRequest(
            f"{route.model_id} speaks {facts.max_input} characters at a time; these are {len(call.input)}.",
            param="input",
        )
    _check_voice(call, facts, route)
    _check_speed(call, facts, route)
    if call.instructions and not facts.instructions:
        raise CapabilityNotSupported(f"{route.model_id} takes no instructions.", param="instructions")
    return replace(call, response_format=_format(call, facts, route))


def _check_voice(call: SpeechCall, facts: SpeechFacts, route: AnyRoute) -> None:
    if facts.other_voices or not facts.voices:
        return
    if isinstance(call.voice, OwnVoice):
        raise CapabilityNotSupported(f"{route.model_id} speaks with its own voices only.", param="voice")
    if call.voice not in facts.voices:
        raise InvalidRequest(f"The voices of {route.model_id} are {', '.join(facts.voices)}.", param="voice")


def _check_speed(call: SpeechCall, facts: SpeechFacts, route: AnyRoute) -> None:
    if call.speed is None or call.speed == 1:
        return
    if facts.min_speed is None or facts.max_speed is None:
        raise CapabilityNotSupported(f"The speed of {route.model_id} cannot be chosen.", param="speed")
    if not facts.min_speed <= call.speed <= facts.max_speed:
        raise InvalidRequest(
            f"{route.model_id} speaks at speeds of {facts.min_speed:g} to {facts.max_speed:g}.", param="speed"
        )


def _format(call: SpeechCall, facts: SpeechFacts, route: AnyRoute) -> SpeechFormat:
    """Without one asked for OpenAI's usual one, or the model's own where it has that not."""
    among: tuple[str, ...] = facts.formats
    wanted = call.response_format
    if wanted is None:
        return USUAL_FORMAT if USUAL_FORMAT in among or not among else among[0]  # type: ignore[return-value]  # the catalog's schema has the same words
    if among and wanted not in among:
        raise CapabilityNotSupported(
            f"The formats of {route.model_id} are {', '.join(among)}.", param="response_format"
        )
    return wanted


def usage_at_most(call: SpeechCall, facts: ModelFacts) -> TokenUsage:
    units = _characters(call, facts)
    if facts.prices is None:
        return TokenUsage(units=units)
    text = _text_bytes(call) + TOKENS_AROUND_A_TEXT + call.options_bytes
    return _tokens(text, call.most_tokens(facts.max_output_tokens), units)


def usage_of(call: SpeechCall, facts: ModelFacts, told: TokenUsage | None) -> TokenUsage:
    """Of a recording that was begun, by the provider's figures where it gave some."""
    units = _characters(call, facts)
    if told is not None:
        return replace(told, units={**units, **told.units})
    if facts.prices is None:
        return TokenUsage(units=units)
    spoken = USUAL_TOKENS_PER_CHARACTER * len(call.input)
    return replace(_tokens(-(-_text_bytes(call) // BYTES_PER_TOKEN), spoken, units), estimated=True)


def _tokens(text: int, spoken: int, units: dict[str, int]) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=text,
        completion_tokens=spoken,
        completion=CompletionTokensDetails(audio_tokens=spoken),
        units=units,
    )


def _text_bytes(call: SpeechCall) -> int:
    return len(call.input.encode()) + len((call.instructions or "").encode())


def _characters(call: SpeechCall, facts: ModelFacts) -> dict[str, int]:
    """Of a model that is paid by them."""
    return {"characters": len(call.input)} if any(price.unit == "characters" for price in facts.unit_prices) else {}
