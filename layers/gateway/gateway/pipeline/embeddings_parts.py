"""A list of inputs in as many requests as its provider's limits demand, in inputs and tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.embeddings import Embeddings, EmbeddingsCall, Text
from gateway.model.provider_errors import ProviderError
from gateway.model.usage import TokenUsage
from gateway.pipeline.embeddings_check import estimated_usage, tokens_at_most
from gateway.pipeline.route import Route
from gateway.pipeline.split import Part
from gateway.providers.contract import EmbeddingsWire

PARTS_AT_ONCE = 8


VectorsPart: TypeAlias = Part[EmbeddingsCall, Embeddings]


def usage_of(call: EmbeddingsCall, made: Embeddings | None, facts: ModelFacts) -> TokenUsage:
    return (made.usage if made else None) or estimated_usage(call, facts)


def check_number(call: EmbeddingsCall, made: Embeddings) -> None:
    """Raises ProviderError (502)."""
    if len(made.vectors) != len(call.inputs):
        raise ProviderError(f"{call.model} was answered with another number of embeddings.")


def cut(call: EmbeddingsCall, route: Route[EmbeddingsWire]) -> list[VectorsPart]:
    """No part has more inputs, or can have more tokens, than one request may; but each has an input."""
    lists = [*_lists(call.inputs, route)]
    if len(lists) == 1:
        return [Part(call)]
    return [Part(msgspec.structs.replace(call, input=inputs)) for inputs in lists]


def _lists(inputs: Sequence[Text], route: Route[EmbeddingsWire]) -> Iterator[list[Text]]:
    facts = route.facts.embedding
    most_inputs = (facts.max_inputs if facts else None) or route.wire.max_inputs or len(inputs)
    most_tokens = facts.max_tokens if facts else None
    part: list[Text] = []
    tokens = 0
    for one in inputs:
        more = tokens_at_most(one) if most_tokens else 0
        if part and (len(part) == most_inputs or (most_tokens and tokens + more > most_tokens)):
            yield part
            part, tokens = [], 0
        part.append(one)
        tokens += more
    yield part
