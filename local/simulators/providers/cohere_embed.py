"""Cohere's embeddings, of its own API and, without the model's name, of Amazon Bedrock.

https://docs.cohere.com/reference/embed, https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
"""

from collections.abc import Callable

from local.simulators.providers.embeddings import Embedded
from local.simulators.script import next_id
from local.simulators.vectors import dimensions_of, in_bytes, in_numbers
from local.simulators.wire import LIST, TEXT, UNKNOWN_MODEL, Json, Refused, check_parameters, integer, require

RULES = {
    **dict.fromkeys(("texts", "images", "inputs", "embedding_types"), LIST),
    **dict.fromkeys(("model", "input_type", "truncate"), TEXT),
    **dict.fromkeys(("max_tokens", "output_dimension", "priority"), integer()),
}
INPUT_TYPES = ("search_document", "search_query", "classification", "clustering")
MAX_TEXTS = 96
V4_DIMENSIONS = (256, 512, 1024, 1536)


def read_embed(body: Json) -> Embedded:
    """Raises Refused."""
    require(body, "model")
    if body["model"] == UNKNOWN_MODEL:
        raise Refused("model_not_found", f"model '{UNKNOWN_MODEL}' not found, make sure the correct model ID was used.")
    check_embed(body, body["model"])
    return Embedded(body["model"], body["texts"], body.get("output_dimension"), _by_type(body))


def check_embed(body: Json, model: str) -> None:
    """Raises Refused."""
    check_parameters(body, RULES, strict=True)
    require(body, "texts", "input_type")
    texts = body["texts"]
    if not texts or not all(isinstance(one, str) for one in texts):
        raise Refused("wrong_type", "invalid request: texts must be a list of strings.", param="texts")
    if len(texts) > MAX_TEXTS:
        raise Refused("out_of_range", f"too many texts: {len(texts)}, at most {MAX_TEXTS}.", param="texts")
    if body["input_type"] not in INPUT_TYPES:
        raise Refused("wrong_type", "invalid request: input_type is not valid.", param="input_type")
    wanted = body.get("output_dimension")
    if wanted is not None and (dimensions_of(model) == 1024 or wanted not in V4_DIMENSIONS):
        raise Refused("out_of_range", "invalid request: output_dimension is not supported.", param="output_dimension")


def _by_type(body: Json) -> Callable[[Embedded, int | None], Json]:
    kinds = body.get("embedding_types") or ["float"]

    def reply(asked: Embedded, tokens: int | None) -> Json:
        writers = {"float": in_numbers, "int8": in_bytes}
        found = {kind: [writers[kind](one, asked.dimensions) for one in asked.inputs] for kind in kinds}
        whole: Json = {"id": f"00000000-0000-4000-8000-{next_id():012d}", "embeddings": found, "texts": asked.inputs}
        billed = {} if tokens is None else {"billed_units": {"input_tokens": tokens}}
        return whole | {"meta": {"api_version": {"version": "2"}, **billed}, "response_type": "embeddings_by_type"}

    return reply


def bedrock_reply(body: Json, asked: Embedded) -> Json:
    """By type when types are asked for, else a plain list. Tokens are told in a header."""
    texts = {"id": f"00000000-0000-4000-8000-{next_id():012d}", "texts": asked.inputs}
    vectors = [in_numbers(one, asked.dimensions) for one in asked.inputs]
    if body.get("embedding_types"):
        return texts | {"embeddings": {"float": vectors}, "response_type": "embeddings_by_type"}
    return texts | {"embeddings": vectors, "response_type": "embeddings_floats"}
