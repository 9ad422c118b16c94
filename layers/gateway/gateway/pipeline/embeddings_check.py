"""Can the chosen model make such vectors, and how much can that use? Answered before anything is sent or paid."""

from __future__ import annotations

from gateway.model.catalog import ModelFacts
from gateway.model.embeddings import EmbeddingsCall, Text
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.estimate import BYTES_PER_TOKEN
from gateway.model.usage import TokenUsage
from gateway.pipeline.route import AnyRoute

CHARACTERS_PER_TOKEN_AT_MOST = 10
"""More text than so many times what the model reads is a mistake, also where the provider would cut it to fit."""
TOKENS_PER_INPUT = 16
"""What models put around a text: marks of beginning and end, and words of their own for its use."""


def check_embeddings(call: EmbeddingsCall, route: AnyRoute) -> None:
    """Raises CapabilityNotSupported or InvalidRequest (400), naming the parameter and the model."""
    _check_dimensions(call, route)
    most = route.facts.context_tokens
    if most is None:
        return
    for place, one in enumerate(call.inputs):
        fits = len(one) <= (most * CHARACTERS_PER_TOKEN_AT_MOST if isinstance(one, str) else most)
        if not fits:
            unit = "characters" if isinstance(one, str) else "tokens"
            raise InvalidRequest(
                f"{len(one)} {unit} cannot fit {route.model_id}'s {most} tokens.", param=f"input[{place}]"
            )


def _check_dimensions(call: EmbeddingsCall, route: AnyRoute) -> None:
    facts, wanted = route.facts.embedding, call.dimensions
    if wanted is None or facts is None or facts.dimensions is None or wanted in (facts.dimensions, *facts.choices):
        return
    if facts.choices:
        among = ", ".join(str(choice) for choice in facts.choices)
        raise InvalidRequest(f"{route.model_id} makes vectors of {among} dimensions.", param="dimensions")
    least, most = facts.min_dimensions, facts.most_dimensions
    if least is None or most is None:
        made = f"{route.model_id} makes vectors of {facts.dimensions} dimensions only."
        raise CapabilityNotSupported(made, param="dimensions")
    if not least <= wanted <= most:
        raise InvalidRequest(f"{route.model_id} makes vectors of {least} to {most} dimensions.", param="dimensions")


def check_same_length(call: EmbeddingsCall, route: AnyRoute, asked: ModelFacts) -> None:
    """Of vectors that are made in place of those of another model. Raises CapabilityNotSupported (400)."""
    own, wanted = _length(call, route.facts), _length(call, asked)
    if own is None or wanted is None:
        if route.facts.id != asked.id:
            unknown = f"How long {route.model_id if own is None else asked.id}'s vectors are is not known."
            raise CapabilityNotSupported(unknown, param="model")
    elif own != wanted:
        raise CapabilityNotSupported(f"{route.model_id} makes vectors of another length.", param="model")


def _length(call: EmbeddingsCall, facts: ModelFacts) -> int | None:
    """None where it is not known."""
    return call.dimensions or (facts.embedding.dimensions if facts.embedding else None)


def tokens_at_most(one: Text) -> int:
    """Text has at most one token for each UTF-8 byte."""
    return len(one.encode()) if isinstance(one, str) else len(one)


def usage_at_most(call: EmbeddingsCall, facts: ModelFacts) -> TokenUsage:
    around = TOKENS_PER_INPUT + call.options_bytes
    tokens = [tokens_at_most(one) + around for one in call.inputs]
    if facts.context_tokens is not None:
        tokens = [min(count, facts.context_tokens) for count in tokens]
    return TokenUsage(prompt_tokens=sum(tokens), units=_characters(call, facts))


def estimated_usage(call: EmbeddingsCall, facts: ModelFacts) -> TokenUsage:
    """Where a provider gives no figures: tokens as they were given, a quarter token for each UTF-8 byte of text."""
    tokens = sum(
        -(-tokens_at_most(one) // BYTES_PER_TOKEN) if isinstance(one, str) else len(one) for one in call.inputs
    )
    return TokenUsage(prompt_tokens=tokens, units=_characters(call, facts), estimated=True)


def _characters(call: EmbeddingsCall, facts: ModelFacts) -> dict[str, int]:
    """Of a model that is paid by them."""
    if all(price.unit != "characters" for price in facts.unit_prices):
        return {}
    return {"characters": sum(len(one) for one in call.inputs)}
