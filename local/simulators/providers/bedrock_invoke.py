"""InvokeModel of Amazon Bedrock, whose body is the words of the model's maker: for embeddings and images.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-stability-diffusion.html
"""

from base64 import b64encode

from local.simulators.providers.cohere_embed import bedrock_reply, check_embed
from local.simulators.providers.embeddings import Embedded
from local.simulators.providers.images import Pictured, image_of, size_of_shape
from local.simulators.vectors import in_numbers
from local.simulators.wire import FLAG, LIST, TEXT, Asked, Json, Refused, check_parameters, integer, require

TITAN_RULES = {"inputText": TEXT, "dimensions": integer(), "normalize": FLAG, "embeddingTypes": LIST}
TITAN_DIMENSIONS = (256, 512, 1024)
TITAN_CHARACTERS = 50_000
COHERE_CHARACTERS = 2048
STABILITY_RULES = {
    "aspect_ratio": TEXT,
    "mode": TEXT,
    "negative_prompt": TEXT,
    "output_format": TEXT,
    "prompt": TEXT,
    "seed": integer(0, 2**32 - 1),
}
STABILITY_FORMATS = ("png", "jpeg")
STABILITY_CHARACTERS = 10_000
TOKENS_HEADER = "x-amzn-bedrock-input-token-count"


def read_invoke(model: str, body: Json) -> Asked:
    """Raises Refused."""
    if "titan-embed-text" in model:
        return _titan(model, body)
    if "cohere.embed" in model:
        return _cohere(model, body)
    if model.startswith("stability."):
        return _stability(model, body)
    raise Refused("wrong_type", "The provided model doesn't support this operation.")


def _titan(model: str, body: Json) -> Embedded:
    is_v2 = "v2" in model
    require(body, "inputText")
    check_parameters(body, TITAN_RULES if is_v2 else {"inputText": TEXT}, strict=True)
    wanted = body.get("dimensions")
    if wanted is not None and wanted not in TITAN_DIMENSIONS:
        raise Refused("out_of_range", f"Malformed input request: {wanted} is not a valid enum value.")
    if not 1 <= len(body["inputText"]) <= TITAN_CHARACTERS:
        raise Refused("out_of_range", f"Malformed input request: expected maxLength: {TITAN_CHARACTERS}.")

    def reply(asked: Embedded, tokens: int | None) -> Json:
        numbers = in_numbers(asked.inputs[0], asked.dimensions)
        whole: Json = {"embedding": numbers, **({"embeddingsByType": {"float": numbers}} if is_v2 else {})}
        return whole if tokens is None else whole | {"inputTextTokenCount": tokens}

    return Embedded(model, [body["inputText"]], wanted, reply)


def _cohere(model: str, body: Json) -> Embedded:
    if "model" in body:
        raise Refused("unknown_parameter", "Malformed input request: extraneous key [model] is not permitted.")
    check_embed(body, model)
    if "v4" not in model and any(len(one) > COHERE_CHARACTERS for one in body["texts"]):
        raise Refused("out_of_range", f"Malformed input request: expected maxLength: {COHERE_CHARACTERS}.")

    def reply(asked: Embedded, _tokens: int | None) -> Json:
        return bedrock_reply(body, asked)

    def headers(tokens: int) -> tuple[tuple[str, str], ...]:
        return ((TOKENS_HEADER, str(tokens)),)

    return Embedded(model, body["texts"], body.get("output_dimension"), reply, headers)


def _stability(model: str, body: Json) -> Pictured:
    require(body, "prompt")
    check_parameters(body, STABILITY_RULES, strict=True)
    kind = str(body.get("output_format") or "png").lower()
    if kind not in STABILITY_FORMATS or body.get("mode", "text-to-image") != "text-to-image":
        raise Refused("wrong_type", "Malformed input request: not a valid enum value.")
    if not 1 <= len(body["prompt"]) <= STABILITY_CHARACTERS:
        raise Refused("out_of_range", f"Malformed input request: expected maxLength: {STABILITY_CHARACTERS}.")
    size = size_of_shape(body.get("aspect_ratio") or "1:1", 1536)

    def reply(asked: Pictured) -> Json:
        if asked.is_filtered:
            return {"finish_reasons": ["Filter reason: prompt"]}
        image = b64encode(image_of(asked.prompt, 0, size, kind)).decode()
        return {"seeds": [2130420379], "finish_reasons": [None], "images": [image]}

    return Pictured(model, body["prompt"], reply)
