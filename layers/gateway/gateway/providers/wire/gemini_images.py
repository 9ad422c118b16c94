"""Images by Gemini models, which write them into an answer to generateContent.

Source: https://ai.google.dev/gemini-api/docs/image-generation (2026-11)
"""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import quote

import msgspec

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.image_size import shape_of
from gateway.model.images import Images, ImagesCall, MadeImage
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.failures import broke_off
from gateway.providers.wire.gemini_answer import ANSWER, FINISH_REASONS, Answer, Blob, given
from gateway.providers.wire.gemini_failures import failure_in, failure_of
from gateway.providers.wire.gemini_task import RESERVED
from gateway.providers.wire.options import with_options

RESERVED_CONFIG = frozenset({"imageConfig", "responseModalities"})
"""Of `provider_options`: what would lead around what is held for, or make something else than an image."""


class GeminiImages(msgspec.Struct, frozen=True):
    """One image a request. `prefix`: of the path, where the base URL has none of it."""

    prefix: str = "/v1beta"
    max_images: int = 1

    def render(self, call: ImagesCall, target: Target) -> HttpRequest:
        """How long the answer may be is said, because that is what is held for."""
        config: Json = {"responseModalities": ["IMAGE"]}
        if (shape := shape_of(call.size)) is not None:
            size = {"imageSize": shape.resolution} if shape.resolution else {}
            config["imageConfig"] = {"aspectRatio": shape.ratio, **size}
        if (most := most_tokens(call, target)) is not None:
            config["maxOutputTokens"] = most
        contents = [{"role": "user", "parts": [{"text": call.prompt}]}]
        body = {"contents": contents, "generationConfig": config}
        options = call.options_for(target.provider)
        body = with_options(body, options, target.provider, RESERVED, RESERVED_CONFIG)
        url = f"{target.base_url}{self.prefix}/models/{quote(target.model.id, safe='')}:generateContent"
        return HttpRequest("POST", url, {"content-type": "application/json"}, msgspec.json.encode(body))

    def parse(self, response: HttpResponse, target: Target) -> Images:
        try:
            answer = ANSWER.decode(response.body)
            parts = [part for candidate in answer.candidates or () for part in candidate.parts if not part.thought]
            found = [_image(part.inline_data) for part in parts if part.inline_data is not None]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            raise ProviderError(f"{target.provider} answered with something that is not documented.") from None
        if given(answer.error):
            raise failure_in(response.body, target.provider) or ProviderError(f"{target.provider} reported an error.")
        figures = answer.usage_metadata
        usage = figures.tokens() if figures else None
        return Images(found, usage, None if found else _withheld(answer, usage, target))

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target.provider)


def most_tokens(call: ImagesCall, target: Target) -> int | None:
    """None where the catalog does not know what an image counts."""
    facts = target.model.image
    if facts is None or not facts.tokens:
        return None
    shape = shape_of(call.size)
    named = shape.resolution if shape else None
    resolution = named or (facts.resolutions[0] if facts.resolutions else "")
    return facts.tokens.get(resolution, max(facts.tokens.values())) + facts.text_tokens


def _image(blob: Blob) -> MadeImage:
    return MadeImage(b64decode(blob.data, validate=True), content_type=blob.mime_type)


def _withheld(answer: Answer, usage: TokenUsage | None, target: Target) -> str:
    """Why a filter took the image. Raises ProviderError (502) where something else kept the model from making one."""
    if answer.blocked is not None:
        return str(answer.blocked.block_reason)
    reasons = [candidate.finish_reason for candidate in answer.candidates or ()]
    for reason in reasons:
        if FINISH_REASONS.get(reason) == "content_filter":
            return str(reason)
    raise broke_off(target.provider, str(next(iter(reasons), None) or "no_image"), usage)
