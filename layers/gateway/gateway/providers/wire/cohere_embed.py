"""Cohere's embeddings, version 2, and those of its models on Amazon Bedrock.

Sources: https://docs.cohere.com/reference/embed,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import Json
from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.cohere_chat_parse import failure_of
from gateway.providers.wire.embeddings_answer import decoded
from gateway.providers.wire.embeddings_input import other_metadata, text_list
from gateway.providers.wire.options import with_options

RESERVED = frozenset({"model", "texts", "images", "inputs", "embedding_types"})
DEFAULT_INPUT_TYPE = "search_document"
"""The models demand one, and OpenAI's clients have no word for it."""
MAX_TEXTS = 96


class ByType(Struct):
    """`int8`, `uint8`: whole numbers, which stand for themselves."""

    float: list[Raw] | None = None
    int8: list[Raw] | None = None
    uint8: list[Raw] | None = None


class BilledUnits(Struct):
    input_tokens: Any = None


class Meta(Struct):
    billed_units: BilledUnits | None = None


class Answer(Struct):
    """`embeddings`: by type, or the older plain list."""

    embeddings: ByType | list[Raw]
    meta: Meta | None = None


_ANSWER = msgspec.json.Decoder(Answer)


def request_body(call: EmbeddingsCall, target: Target) -> Json:
    """Too long texts are refused rather than cut. Raises CapabilityNotSupported (400)."""
    other_metadata(call, target)
    body: Json = {
        "texts": text_list(call, target),
        "input_type": DEFAULT_INPUT_TYPE,
        "embedding_types": ["float"],
        "truncate": "NONE",
    }
    if call.dimensions is not None:
        body["output_dimension"] = call.dimensions
    return with_options(body, call.options_for(target.provider), target.provider, RESERVED)


def parse_answer(response: HttpResponse, target: Target) -> Embeddings:
    answer, vectors = decoded(_ANSWER, response, target)
    types = answer.embeddings
    found = types if isinstance(types, list) else types.float or types.int8 or types.uint8
    if not found:
        raise ProviderError(f"{target.provider} answered without embeddings.")
    return Embeddings(vectors.back(found), _token_usage(answer.meta))


def _token_usage(meta: Meta | None) -> TokenUsage | None:
    billed = meta.billed_units.input_tokens if meta and meta.billed_units else None
    return TokenUsage(prompt_tokens=max(0, int(billed))) if isinstance(billed, int | float) else None


class CohereEmbed(msgspec.Struct, frozen=True):
    max_inputs: int | None = MAX_TEXTS

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        body = {"model": target.model.id, **request_body(call, target)}
        headers = {"content-type": "application/json", "accept": "application/json"}
        return HttpRequest("POST", f"{target.base_url}/v2/embed", headers, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        return parse_answer(response, target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)
