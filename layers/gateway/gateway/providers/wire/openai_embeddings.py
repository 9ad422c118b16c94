"""OpenAI's embeddings, as OpenAI and its imitators speak them.

Source: https://platform.openai.com/docs/api-reference/embeddings (2026-11)
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import Json
from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.embeddings_answer import decoded
from gateway.providers.wire.embeddings_input import other_metadata, texts
from gateway.providers.wire.openai_chat_failure import interruption, refusal
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.options import with_options

RESERVED = frozenset({"model", "input", "encoding_format", "output_dtype"})
"""Members of `provider_options` that would lead around the choice of model, or the reading of the answer."""


class Item(Struct):
    embedding: Raw
    index: int | None = None


class Usage(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class Answer(Struct):
    data: list[Item] | None = None
    usage: Usage | None = None
    error: Any = None


_ANSWER = msgspec.json.Decoder(Answer)


class OpenAiEmbeddings(msgspec.Struct, frozen=True):
    """How a provider departs from OpenAI's embeddings, as data. Each value but the default carries its source.

    `tokens`: takes inputs as tokens. `dimensions`: the member that says how many are wanted, "" for none.
    `encodings`: the words of `encoding_format` that are sent; what the client wants besides is made of the answer.
    `lacks`: of "user" and "metadata". `always`: members of every request, which options may replace. `reserved`: those
    that options may not name. `int8`: base64 in an answer is of signed bytes, each a number of its own.
    """

    path: str = "/embeddings"
    max_inputs: int | None = 2048
    tokens: bool = False
    dimensions: str = "dimensions"
    encodings: frozenset[str] = frozenset({"float", "base64"})
    lacks: frozenset[str] = frozenset({"user", "metadata"})
    always: Mapping[str, Any] = msgspec.field(default_factory=dict)
    reserved: frozenset[str] = RESERVED
    int8: bool = False

    def render(self, call: EmbeddingsCall, target: Target) -> HttpRequest:
        body: Json = {"model": target.model.id, "input": call.input if self.tokens else texts(call, target)}
        if call.dimensions is not None:
            if not self.dimensions:
                raise CapabilityNotSupported(f"{target.provider} does not support 'dimensions'.", param="dimensions")
            body[self.dimensions] = call.dimensions
        if call.encoding_format in self._encodings(target):
            body["encoding_format"] = call.encoding_format
        if call.user is not None and "user" not in self.lacks:
            body["user"] = call.user
        if metadata := other_metadata(call, target, is_taken="metadata" not in self.lacks):
            body["metadata"] = metadata
        options = call.options_for(target.provider)
        body = with_options({**body, **self.always}, options, target.provider, self.reserved)
        headers = {"content-type": "application/json", "accept": "application/json"}
        return HttpRequest("POST", target.base_url + self.path, headers, msgspec.json.encode(body))

    def _encodings(self, target: Target) -> frozenset[str]:
        facts = target.model.embedding
        return self.encodings if facts is None or facts.base64 else frozenset({"float"}) & self.encodings

    def parse(self, response: HttpResponse, target: Target) -> Embeddings:
        answer, vectors = decoded(_ANSWER, response, target)
        if answer.data is None:
            if answer.error:
                raise interruption({"error": answer.error}, target, self._quirks)
            raise ProviderError(f"{target.provider} answered without embeddings.")
        if any(item.index not in (None, place) for place, item in enumerate(answer.data)):
            answer.data.sort(key=lambda item: item.index or 0)
        found = vectors.back(item.embedding for item in answer.data)
        if self.int8:
            found = [_whole_numbers(vector, target) for vector in found]
        return Embeddings(found, _token_usage(answer.usage))

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, self._quirks)

    @property
    def _quirks(self) -> Quirks:
        """Of the error's parameter, which is told in the call's own words."""
        return Quirks(renames={"dimensions": self.dimensions} if self.dimensions else {})


def _whole_numbers(vector: Raw, target: Target) -> Raw:
    try:
        data = msgspec.json.decode(vector, type=bytes)
    except msgspec.ValidationError:
        raise ProviderError(f"{target.provider} sent something that is no embedding.") from None
    return Raw(msgspec.json.encode(array("b", data).tolist()))


def _token_usage(usage: Usage | None) -> TokenUsage | None:
    """Voyage says the total only, which is all prompt."""
    tokens = None if usage is None else usage.prompt_tokens or usage.total_tokens
    return None if tokens is None else TokenUsage(prompt_tokens=max(0, tokens))
