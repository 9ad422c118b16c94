"""OpenAI's images, as OpenAI and its imitators speak them.

Source: https://developers.openai.com/api/reference/resources/images/methods/generate (2026-11)
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.image_size import pixels_of, shape_of
from gateway.model.images import Images, ImagesCall, MadeImage
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.failures import broke_off
from gateway.providers.wire.openai_chat_failure import interruption, refusal
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_usage import stated_cost_nano_usd
from gateway.providers.wire.options import with_options

RESERVED = frozenset(
    {"model", "prompt", "n", "stream", "partial_images", "response_format"}
    | {"size", "quality", "aspect_ratio", "resolution", "width", "height", "steps"}
)
"""Members of `provider_options` that would lead around the choice of model, what is held for, or the reading of the
answer."""
WORDS = ("quality", "output_format", "output_compression", "background", "moderation")


class Item(Struct):
    """`mime_type`, `respect_moderation` (false: the image was taken): xAI's; `media_type`: OpenRouter's."""

    b64_json: bytes | None = None
    url: str | None = None
    mime_type: str | None = None
    media_type: str | None = None
    revised_prompt: str | None = None
    respect_moderation: bool | None = None


class Details(Struct):
    image_tokens: int | None = None
    cached_tokens: int | None = None


class Usage(Struct):
    """Counts by OpenAI's names for images, or by those for chats as OpenRouter has them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None

    def tokens(self) -> TokenUsage | None:
        prompt = self.prompt_tokens if self.input_tokens is None else self.input_tokens
        completion = self.completion_tokens if self.output_tokens is None else self.output_tokens
        if prompt is None or completion is None:
            return None
        read = self.input_tokens_details or self.prompt_tokens_details or Details()
        written = self.output_tokens_details or self.completion_tokens_details
        images = completion if written is None or written.image_tokens is None else written.image_tokens
        return TokenUsage(
            prompt_tokens=max(0, prompt),
            completion_tokens=max(0, completion),
            prompt=PromptTokensDetails(cached_tokens=read.cached_tokens or 0, image_tokens=read.image_tokens or 0),
            completion=CompletionTokensDetails(image_tokens=min(images, max(0, completion))),
        )


class Answer(Struct):
    data: list[Item] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_ANSWER = msgspec.json.Decoder(Answer)


class OpenAiImages(msgspec.Struct, frozen=True):
    """How a provider departs from OpenAI's images, as data. Each value but the default carries its source.

    `size`: how it is told: as one text, as width and height, or as a shape with its resolution. `base64`: the word of
    `response_format` for images in the answer, "" where they always are. `user`: whether it takes one. `quirks`: of its
    errors, and where it states its own price, as in chats.
    """

    path: str = "/images/generations"
    max_images: int = 10
    size: Literal["text", "sides", "shape"] = "text"
    base64: str = ""
    user: bool = True
    quirks: Quirks = Quirks()

    def render(self, call: ImagesCall, target: Target) -> HttpRequest:
        body: Json = {"model": target.model.id, "prompt": call.prompt, "n": call.n or 1, **self._size(call)}
        body |= {word: value for word in WORDS if (value := getattr(call, word)) is not None}
        if self.base64:
            body["response_format"] = self.base64
        if call.user is not None and self.user:
            body["user"] = call.user
        options = call.options_for(target.provider)
        body = with_options(body, options, target.provider, RESERVED)
        headers = {"content-type": "application/json", "accept": "application/json"}
        return HttpRequest("POST", target.base_url + self.path, headers, msgspec.json.encode(body))

    def _size(self, call: ImagesCall) -> Json:
        if self.size == "shape" and (shape := shape_of(call.size)) is not None:
            told = {"aspect_ratio": shape.ratio}
            return told if shape.resolution is None else {**told, "resolution": shape.resolution}
        if self.size == "sides" and (pixels := pixels_of(call.size)) is not None:
            return {"width": pixels.width, "height": pixels.height}
        return {} if call.size is None else {"size": call.size}

    def parse(self, response: HttpResponse, target: Target) -> Images:
        try:
            answer = _ANSWER.decode(response.body)
            usage = self._usage(answer.usage or {})
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderError(f"{target.provider} sent something that is no list of images.") from None
        if answer.data is None:
            if answer.error:
                raise interruption({"error": answer.error}, target, self.quirks)
            raise ProviderError(f"{target.provider} answered without images.")
        found = [_image(item) for item in answer.data if item.b64_json or item.url]
        is_moderated = any(item.respect_moderation is False for item in answer.data)
        if not found and not is_moderated:
            raise broke_off(target.provider, "no_image", usage)
        return Images(found, usage, None if found else "all of them were moderated")

    def _usage(self, raw: Json) -> TokenUsage | None:
        """With what the provider itself says that it charges, which it may say without any tokens."""
        tokens, stated = msgspec.convert(raw, Usage).tokens(), stated_cost_nano_usd(raw, self.quirks)
        if stated is None:
            return tokens
        return msgspec.structs.replace(tokens or TokenUsage(), stated_cost_nano_usd=stated)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, self.quirks)


def _image(item: Item) -> MadeImage:
    url = None if item.b64_json else item.url
    kind = item.mime_type or item.media_type or ""
    return MadeImage(item.b64_json or b"", url, kind, item.revised_prompt)
