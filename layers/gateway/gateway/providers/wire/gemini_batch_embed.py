"""Gemini's embeddings as items of a batch: one text each.

Source: https://ai.google.dev/gemini-api/docs/batch-api#batch-embedding (2026-11)
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.gemini_embeddings import BatchEmbedContents

ONE = BatchEmbedContents(max_inputs=1)


class Requests(Struct):
    requests: list[dict[str, Raw]]


class Counted(Struct, rename="camel"):
    """A number or a text, as the API writes its counts elsewhere."""

    token_count: str | int | None = None


_REQUESTS = msgspec.json.Decoder(Requests)
_COUNTED = msgspec.json.Decoder(Counted)


class BatchedEmbedContent:
    """As by itself, but that the batch names the model, and that the tokens stand beside the vector."""

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        whole = ONE.render(call, target)
        (request,) = _REQUESTS.decode(whole.body).requests
        request.pop("model")
        return HttpRequest(whole.method, whole.url, whole.headers, msgspec.json.encode(request))

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        found = ONE.parse(response, target)
        tokens = None if found.usage is not None else _tokens(response.body)
        return found if tokens is None else Embeddings(found.vectors, TokenUsage(prompt_tokens=tokens))

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return ONE.fail(response, target)


def _tokens(body: bytes) -> int | None:
    try:
        count = str(_COUNTED.decode(body).token_count)
    except msgspec.ValidationError:
        return None
    return int(count) if count.isdecimal() else None
