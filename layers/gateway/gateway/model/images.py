"""Images: the normalised call, what a provider made of it, and what the client receives.

Source of names and bounds: https://developers.openai.com/api/reference/resources/images/methods/generate (2026-11).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct

from gateway.model.call import Call
from gateway.model.completion import GatewayReport
from gateway.model.money import NANO_PER_USD
from gateway.model.units import UnitName
from gateway.model.unshown import Unshown
from gateway.model.usage import TokenUsage
from gateway.model.wire import Outbound

MAX_IMAGES = 10
OutputFormat: TypeAlias = Literal["png", "jpeg", "webp"]
Quality: TypeAlias = Literal["auto", "low", "medium", "high", "standard", "hd"]
Background: TypeAlias = Literal["auto", "transparent", "opaque"]


class ImagesCall(Call, frozen=True, kw_only=True):
    """`n`: how many images. `size`: as `model/image_size.py` has it, or "auto". `output_compression`: percent, of JPEG
    and WebP. `response_format`: where the images are: behind a URL of the tenant's storage, or in the answer.

    `stream`, `partial_images`: OpenAI's, refused by name.
    """

    prompt: Annotated[str, Meta(min_length=1, max_length=32_000)]
    n: Annotated[int, Meta(ge=1, le=MAX_IMAGES)] | None = None
    size: Annotated[str, Meta(max_length=32)] | None = None
    quality: Quality | None = None
    output_format: OutputFormat | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    background: Background | None = None
    moderation: Literal["auto", "low"] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None


class MadeImage(Unshown, frozen=True):
    """`data`: its bytes; or `url`: where the provider keeps it for a while. `content_type`: as the provider says."""

    UNSHOWN: ClassVar = ("data",)

    data: bytes = b""
    url: str | None = None
    content_type: str = ""
    revised_prompt: str | None = None


class Images(Struct, frozen=True):
    """`images`: fewer than were asked for where a filter took some. `withheld`: the provider's word for why, None when
    there is none. `usage`: None where the provider gave no figures.
    """

    images: list[MadeImage]
    usage: TokenUsage | None = None
    withheld: str | None = None


class Image(Outbound, frozen=True, kw_only=True):
    """`url`, or `b64_json`. `file_id`, `expires_at` (Unix seconds, of the file): of an image that was stored."""

    url: str | None = None
    b64_json: str | None = None
    file_id: str | None = None
    content_type: str
    size_bytes: int
    url_expires_at: int | None = None
    expires_at: int | None = None
    revised_prompt: str | None = None


class ImageTokens(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    image_tokens: int
    text_tokens: int


class ImagesUsage(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """`units`: what is charged by another measure than tokens. `cost_estimate`: USD, null when the price is unknown.
    `estimated`: counted by the gateway.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: ImageTokens
    output_tokens_details: ImageTokens
    units: dict[UnitName, int]
    cost_estimate: float | None
    estimated: bool

    @classmethod
    def of(cls, usage: TokenUsage, cost_nano_usd: int | None) -> ImagesUsage:
        return cls(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            input_tokens_details=_split(usage.prompt_tokens, usage.prompt.image_tokens),
            output_tokens_details=_split(usage.completion_tokens, usage.completion.image_tokens),
            units=usage.units,
            cost_estimate=None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD,
            estimated=usage.estimated,
        )


class ImageList(Outbound, frozen=True, kw_only=True):
    """`created`: Unix seconds. `model`: as `gateway.model_used`. The other words: as they were asked for."""

    created: int
    data: list[Image]
    model: str
    usage: ImagesUsage
    gateway: GatewayReport
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    background: str | None = None


def _split(tokens: int, image_tokens: int) -> ImageTokens:
    return ImageTokens(image_tokens=image_tokens, text_tokens=tokens - image_tokens)
