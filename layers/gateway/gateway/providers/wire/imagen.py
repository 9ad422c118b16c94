"""Google's Imagen, by the predict method of Vertex AI and of the Gemini API.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api (2026-11)
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.image_size import shape_of
from gateway.model.images import Images, ImagesCall, MadeImage
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.providers.contract import Target
from gateway.providers.wire.gemini_failures import failure_of
from gateway.providers.wire.options import with_options

RESERVED = frozenset({"sampleCount", "aspectRatio", "sampleImageSize", "storageUri", "outputOptions"})


class Prediction(Struct, rename="camel"):
    """`prompt`: as Google rewrote it."""

    bytes_base64_encoded: bytes | None = None
    mime_type: str = ""
    prompt: str | None = None
    gcs_uri: str | None = None
    rai_filtered_reason: str | None = None


class Predictions(Struct):
    predictions: list[Prediction] = field(default_factory=list)


_PREDICTIONS = msgspec.json.Decoder(Predictions)


class Imagen(msgspec.Struct, frozen=True):
    """`prefix`: of the path, where the base URL has none of it. `provider_options` are its `parameters`."""

    prefix: str = ""
    max_images: int = 4

    def render(self, call: ImagesCall, target: Target) -> HttpRequest:
        parameters: Json = {"sampleCount": call.n or 1, "includeRaiReason": True}
        if (shape := shape_of(call.size)) is not None:
            parameters["aspectRatio"] = shape.ratio
            if shape.resolution is not None:
                parameters["sampleImageSize"] = shape.resolution
        if call.output_format is not None:
            output: Json = {"mimeType": f"image/{call.output_format}"}
            if call.output_compression is not None:
                output["compressionQuality"] = call.output_compression
            parameters["outputOptions"] = output
        options = call.options_for(target.provider)
        body = {
            "instances": [{"prompt": call.prompt}],
            "parameters": with_options(parameters, options, target.provider, RESERVED),
        }
        url = f"{target.base_url}{self.prefix}/models/{quote(target.model.id, safe='')}:predict"
        return HttpRequest("POST", url, {"content-type": "application/json"}, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Images:
        """No place in the owner's own Cloud Storage is asked for, so none is read. A filtered answer may be empty."""
        try:
            predictions = _PREDICTIONS.decode(response.body).predictions
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{target.provider} sent something that is no list of images.") from None
        found = [
            MadeImage(one.bytes_base64_encoded, content_type=one.mime_type, revised_prompt=one.prompt)
            for one in predictions
            if one.bytes_base64_encoded
        ]
        if not found and any(one.gcs_uri for one in predictions):
            raise ProviderError(f"{target.provider} stored its images where the gateway does not read.")
        reasons = (one.rai_filtered_reason for one in predictions if one.rai_filtered_reason)
        return Images(found, withheld=None if found else next(reasons, "all of them were filtered"))

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)
