"""Ollama's own embeddings. Its OpenAI-shaped ones cut texts that are too long, without a word; these need not.

Source: https://docs.ollama.com/api/embed (2026-11)
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct, field

from gateway.model.chat import Json
from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.embeddings_answer import decoded
from gateway.providers.wire.embeddings_input import other_metadata, texts
from gateway.providers.wire.openai_chat_failure import refusal
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.options import with_options

RESERVED = frozenset({"model", "input"})
NOTHING = Raw()


class Answer(Struct):
    """`embedding`: of the older API, which answered with one."""

    embeddings: list[Raw] = field(default_factory=list)
    embedding: Raw = NOTHING
    prompt_eval_count: int | None = None


_ANSWER = msgspec.json.Decoder(Answer)


class OllamaEmbed(msgspec.Struct, frozen=True):
    """Beside the OpenAI-shaped API, which the base URL names."""

    max_inputs: int | None = None

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        other_metadata(call, target)
        body: Json = {"model": target.model.id, "input": texts(call, target), "truncate": False}
        if call.dimensions is not None:
            body["dimensions"] = call.dimensions
        body = with_options(body, call.options_for(target.provider), target.provider, RESERVED)
        url = f"{target.base_url.removesuffix('/v1')}/api/embed"
        headers = {"content-type": "application/json", "accept": "application/json"}
        return HttpRequest("POST", url, headers, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        answer, vectors = decoded(_ANSWER, response, target)
        found = answer.embeddings or ([] if answer.embedding is NOTHING else [answer.embedding])
        if not found:
            raise ProviderError(f"{target.provider} answered without embeddings.")
        tokens = answer.prompt_eval_count
        usage = None if tokens is None else TokenUsage(prompt_tokens=max(0, tokens))
        return Embeddings(vectors.back(found), usage)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, Quirks())
