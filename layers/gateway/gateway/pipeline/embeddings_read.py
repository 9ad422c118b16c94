"""From bytes to a valid call for embeddings: OpenAI's own rules. Every refusal names the field."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.model.embeddings import EmbeddingsCall, Text
from gateway.model.errors import InvalidRequest
from gateway.pipeline.read import read_json

# https://platform.openai.com/docs/api-reference/embeddings/create#embeddings-create-input (2026-11)
MAX_INPUTS = 2048
MAX_TOKENS = 300_000
"""Of all inputs together."""

_EMBEDDINGS = msgspec.json.Decoder(EmbeddingsCall)


def read_embeddings_call(content_type: str, body: bytes) -> EmbeddingsCall:
    """Raises as `read_json`."""
    call = read_json(_EMBEDDINGS, content_type, body)
    if not isinstance(call.input, str):
        kinds = {type(one) for one in call.input}
        if len(kinds) > 1:
            raise InvalidRequest("input is a list of texts, of tokens or of lists of them, no mixture.", param="input")
    _check_inputs(call.inputs)
    return call


def _check_inputs(inputs: Sequence[Text]) -> None:
    if not inputs:
        raise InvalidRequest("input is empty.", param="input")
    if len(inputs) > MAX_INPUTS:
        raise InvalidRequest(f"input has {len(inputs)} items; {MAX_INPUTS} are the most.", param="input")
    for place, one in enumerate(inputs):
        if not one:
            raise InvalidRequest(f"input[{place}] is empty.", param="input" if len(inputs) == 1 else f"input[{place}]")
    tokens = sum(len(one) for one in inputs if not isinstance(one, str))
    if tokens > MAX_TOKENS:
        raise InvalidRequest(f"input has {tokens} tokens; {MAX_TOKENS} are the most.", param="input")
