"""Images by Google: a Gemini model's answer with a picture in it, and Imagen's predictions.

https://ai.google.dev/gemini-api/docs/image-generation,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api
"""

from base64 import b64encode
from typing import Any

from local.simulators.providers.images import Pictured, image_of, size_of_shape, words
from local.simulators.wire import Json, Refused, check_parameters, integer, require

SIDES = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
TOKENS_PER_IMAGE = 1120
IMAGEN_RULES = {"sampleCount": integer(1, 4)}


def wants_image(body: Json) -> bool:
    """Whether a request to generateContent asks for a picture and no words."""
    config = body.get("generationConfig")
    return isinstance(config, dict) and config.get("responseModalities") == ["IMAGE"]


def read_picture(model: str, body: Json) -> Pictured:
    """Raises Refused."""
    if "image" not in model:
        message = "Image generation is not available for this model."
        raise Refused("unsupported_parameter", message, param="generationConfig.responseModalities")
    parts: list[Any] = [part for content in body.get("contents") or () for part in content.get("parts") or ()]
    prompt = words("\n".join(str(part.get("text", "")) for part in parts))
    shape: Json = body["generationConfig"].get("imageConfig") or {}
    side = SIDES.get(str(shape.get("imageSize", "1K")))
    if side is None:
        raise Refused("out_of_range", "Invalid value at 'image_size'.", param="generationConfig.imageConfig.imageSize")
    size = size_of_shape(str(shape.get("aspectRatio", "1:1")), side)

    def reply(asked: Pictured) -> Json:
        data = b64encode(image_of(asked.prompt, 0, size, "png")).decode()
        content = {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}
        made = 0 if asked.is_filtered else asked.image_tokens(TOKENS_PER_IMAGE)
        candidate: Json = {"finishReason": "IMAGE_SAFETY"} if asked.is_filtered else {"content": content}
        usage: Json = {
            "promptTokenCount": asked.prompt_tokens,
            "candidatesTokenCount": made,
            "totalTokenCount": asked.prompt_tokens + made,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked.prompt_tokens}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": made}],
        }
        whole = {"candidates": [{"finishReason": "STOP", **candidate, "index": 0}], "modelVersion": model}
        return whole | ({"usageMetadata": usage} if asked.has_usage else {})

    return Pictured(model, prompt, reply)


def read_imagen(model: str, body: Json) -> Pictured:
    """Raises Refused."""
    require(body, "instances")
    parameters: Json = body.get("parameters") or {}
    check_parameters(parameters, IMAGEN_RULES, strict=False)
    prompt = words((body["instances"] or [{}])[0].get("prompt"))
    size = size_of_shape(
        str(parameters.get("aspectRatio", "1:1")), SIDES.get(str(parameters.get("sampleImageSize")), 1024)
    )
    kind = str((parameters.get("outputOptions") or {}).get("mimeType", "image/png"))

    def reply(asked: Pictured) -> Json:
        if asked.is_filtered:
            return {"predictions": [{"raiFilteredReason": "All images were filtered (simulated)."}]}
        images = (
            image_of(asked.prompt, at, size, kind.removeprefix("image/"))
            for at in range(parameters.get("sampleCount") or 1)
        )
        made = [{"mimeType": kind, "bytesBase64Encoded": b64encode(image).decode()} for image in images]
        return {"predictions": made}

    return Pictured(model, prompt, reply)
