"""Google's embeddings: batchEmbedContents of the Gemini API, embedContent and predict of Vertex AI.

Sources: https://ai.google.dev/api/embeddings,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api (2026-11).

`provider_options` go to every text: `taskType` and `title`. Without a task type Google makes vectors for any use.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct, field

from gateway.model.chat import Json
from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.embeddings_answer import decoded
from gateway.providers.wire.embeddings_input import other_metadata, text_list
from gateway.providers.wire.gemini_failures import failure_of
from gateway.providers.wire.options import with_options

RESERVED = frozenset({"model", "content", "contents", "requests", "instances"})
MAX_REQUESTS = 100
"""https://ai.google.dev/api/embeddings: "at most 100 requests can be in one batch"."""


class Statistics(Struct, frozen=True):
    token_count: float | None = None


class Values(Struct):
    values: Raw
    statistics: Statistics = Statistics()


class UsageMetadata(Struct, rename="camel"):
    prompt_token_count: int | None = None


class Answer(Struct, rename="camel"):
    """One embedding, or several."""

    embedding: Values | None = None
    embeddings: list[Values] = field(default_factory=list)
    usage_metadata: UsageMetadata | None = None


class Prediction(Struct):
    embeddings: Values


class PredictMetadata(Struct, frozen=True, rename="camel"):
    billable_character_count: int | None = None


class Predictions(Struct):
    predictions: list[Prediction]
    metadata: PredictMetadata = PredictMetadata()


_ANSWER = msgspec.json.Decoder(Answer)
_PREDICTIONS = msgspec.json.Decoder(Predictions)


class BatchEmbedContents(msgspec.Struct, frozen=True):
    """Of the Gemini API. It has no switch for texts that are too long for the model: Google cuts them."""

    max_inputs: int | None = MAX_REQUESTS

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        other_metadata(call, target)
        model = f"models/{target.model.id}"
        wishes: Json = {} if call.dimensions is None else {"outputDimensionality": call.dimensions}
        wishes = _with_options(wishes, call, target)
        requests = [{"model": model, "content": _content(text), **wishes} for text in text_list(call, target)]
        url = f"{target.base_url}/v1beta/models/{quote(target.model.id, safe='')}:batchEmbedContents"
        return _post(url, {"requests": requests})

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        return _parse_contents(response, target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


class EmbedContent(msgspec.Struct, frozen=True):
    """Of Vertex AI: one text a request. The base URL holds all of the path that comes before the models."""

    max_inputs: int | None = 1

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        other_metadata(call, target)
        wishes: Json = {"autoTruncate": False}
        if call.dimensions is not None:
            wishes["outputDimensionality"] = call.dimensions
        body = {
            "content": _content(text_list(call, target)[0]),
            "embedContentConfig": _with_options(wishes, call, target),
        }
        return _post(f"{target.base_url}/models/{quote(target.model.id, safe='')}:embedContent", body)

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        return _parse_contents(response, target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


class PredictEmbeddings(msgspec.Struct, frozen=True):
    """Of Vertex AI. Limits: https://cloud.google.com/vertex-ai/generative-ai/docs/embeddings/get-text-embeddings."""

    max_inputs: int | None = 250

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        """`taskType` is `task_type` here, and stands beside each text."""
        other_metadata(call, target)
        beside = _with_options({}, call, target)
        if "taskType" in beside:
            beside["task_type"] = beside.pop("taskType")
        parameters: Json = {"autoTruncate": beside.pop("autoTruncate", False)}
        if call.dimensions is not None:
            parameters["outputDimensionality"] = call.dimensions
        instances = [{"content": text, **beside} for text in text_list(call, target)]
        url = f"{target.base_url}/models/{quote(target.model.id, safe='')}:predict"
        return _post(url, {"instances": instances, "parameters": parameters})

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        answer, vectors = decoded(_PREDICTIONS, response, target)
        found = [prediction.embeddings for prediction in answer.predictions]
        counted = [int(one.statistics.token_count) for one in found if one.statistics.token_count is not None]
        usage = TokenUsage(prompt_tokens=sum(counted)) if len(counted) == len(found) else None
        if usage is not None and any(price.unit == "characters" for price in target.model.unit_prices):
            characters = answer.metadata.billable_character_count
            usage = TokenUsage(prompt_tokens=sum(counted), units={"characters": characters or 0})
        return Embeddings(vectors.back(one.values for one in found), usage)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


def _content(text: str) -> Json:
    return {"parts": [{"text": text}]}


def _with_options(wishes: Json, call: EmbeddingsCall, target: Target) -> Json:
    return with_options(wishes, call.options_for(target.provider), target.provider, RESERVED)


def _post(url: str, body: Json) -> HttpRequest:
    return HttpRequest("POST", url, {"content-type": "application/json"}, msgspec.json.encode(body))


def _parse_contents(response: HttpResponse, target: Target) -> Embeddings:
    answer, vectors = decoded(_ANSWER, response, target)
    found = [answer.embedding] if answer.embedding is not None else answer.embeddings
    if not found:
        raise ProviderError(f"{target.provider} answered without embeddings.")
    tokens = answer.usage_metadata.prompt_token_count if answer.usage_metadata else None
    usage = None if tokens is None else TokenUsage(prompt_tokens=max(0, tokens))
    return Embeddings(vectors.back(one.values for one in found), usage)
