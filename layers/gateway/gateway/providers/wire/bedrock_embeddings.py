"""Embeddings on Amazon Bedrock, by InvokeModel, whose body is the words of the model's maker.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html (2026-11).
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import Json
from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire import cohere_embed
from gateway.providers.wire.converse_failures import failure_of
from gateway.providers.wire.embeddings_answer import decoded
from gateway.providers.wire.embeddings_input import other_metadata, text_list
from gateway.providers.wire.options import with_options

RESERVED = frozenset({"inputText", "inputImage", "embeddingTypes"})
TOKENS_HEADER = "x-amzn-bedrock-input-token-count"


class TitanAnswer(Struct, rename="camel"):
    embedding: Raw
    input_text_token_count: int | None = None


_TITAN = msgspec.json.Decoder(TitanAnswer)


class TitanEmbed(msgspec.Struct, frozen=True):
    """One text a request."""

    max_inputs: int | None = 1

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        other_metadata(call, target)
        body: Json = {"inputText": text_list(call, target)[0]}
        if call.dimensions is not None:
            body["dimensions"] = call.dimensions
        options = call.options_for(target.provider)
        return _invoke(with_options(body, options, target.provider, RESERVED), target)

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        answer, vectors = decoded(_TITAN, response, target)
        tokens = answer.input_text_token_count
        usage = None if tokens is None else TokenUsage(prompt_tokens=max(0, tokens))
        return Embeddings(vectors.back([answer.embedding]), usage)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


class BedrockCohereEmbed(msgspec.Struct, frozen=True):
    """As Cohere's own, but that tokens are counted in a header, if at all."""

    max_inputs: int | None = cohere_embed.MAX_TEXTS

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        return _invoke(cohere_embed.request_body(call, target), target)

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        made = cohere_embed.parse_answer(response, target)
        counted = response.headers.get(TOKENS_HEADER, "")
        return Embeddings(made.vectors, TokenUsage(prompt_tokens=int(counted)) if counted.isdecimal() else made.usage)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


def _invoke(body: Json, target: Target) -> HttpRequest:
    url = f"{target.base_url}/model/{quote(target.model.id, safe='')}/invoke"
    headers = {"content-type": "application/json", "accept": "application/json"}
    return HttpRequest("POST", url, headers, msgspec.json.encode(body))
