"""Stability's text to image on Amazon Bedrock, by InvokeModel.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-stability-diffusion.html (2026-11)
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
from gateway.providers.wire.converse_failures import failure_of
from gateway.providers.wire.options import with_options

RESERVED = frozenset({"prompt", "mode", "aspect_ratio", "output_format", "image"})
FAILED = "Inference error"


class Answer(Struct):
    """`finish_reasons`: of each image, null for one that was made."""

    images: list[bytes] = field(default_factory=list)
    finish_reasons: list[str | None] = field(default_factory=list)


_ANSWER = msgspec.json.Decoder(Answer)


class StabilityImages(msgspec.Struct, frozen=True):
    """One image a request."""

    max_images: int = 1

    def render(self, call: ImagesCall, target: Target) -> HttpRequest:
        body: Json = {"prompt": call.prompt, "mode": "text-to-image"}
        if (shape := shape_of(call.size)) is not None:
            body["aspect_ratio"] = shape.ratio
        if call.output_format is not None:
            body["output_format"] = call.output_format
        body = with_options(body, call.options_for(target.provider), target.provider, RESERVED)
        url = f"{target.base_url}/model/{quote(target.model.id, safe='')}/invoke"
        headers = {"content-type": "application/json", "accept": "application/json"}
        return HttpRequest("POST", url, headers, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Images:
        try:
            answer = _ANSWER.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{target.provider} sent something that is no list of images.") from None
        if FAILED in answer.finish_reasons:
            raise ProviderError(f"{target.provider} failed to make the image.")
        why = next((reason for reason in answer.finish_reasons if reason), None)
        found = [] if why else [MadeImage(data) for data in answer.images]
        return Images(found, withheld=why)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)
