"""From what the provider made to what the client gets: bytes that are images, stored or in the answer."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence

from gateway.model.errors import InvalidRequest, MediaNotFound
from gateway.model.image_size import shape_of
from gateway.model.images import Image, ImageList, ImagesCall, ImagesUsage, MadeImage
from gateway.model.media_type import sniff
from gateway.model.provider_errors import ProviderError, ProviderRejected
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.generated_media import KeptMedia, keep_made
from gateway.pipeline.images_parts import ImagesPart
from gateway.pipeline.report import report
from gateway.ports import World

MAX_IMAGE_BYTES = 40 * 1024 * 1024
WITHHELD = "content_filter"


async def images_in(parts: Sequence[ImagesPart], attempt: Attempt, exchange: Exchange, world: World) -> list[MadeImage]:
    """All images, as bytes, in order. Raises ProviderRejected (400) when there is none, ProviderError (502)."""
    made = [part.made for part in parts if part.made]
    images = [image for one in made for image in one.images]
    provider = attempt.route.provider.name
    if not images:
        reason = next((one.withheld for one in made if one.withheld), None)
        if reason is None:
            raise ProviderError(f"{provider} answered without an image.")
        raise ProviderRejected(f"{provider} made no image: {reason}", param="prompt", provider_code=WITHHELD)
    began_s = world.clock.monotonic_s()
    try:
        return [*await asyncio.gather(*(_with_bytes(image, provider, exchange, world) for image in images))]
    finally:
        if any(image.url for image in images):
            exchange.media_wait_s += world.clock.monotonic_s() - began_s


async def _with_bytes(image: MadeImage, provider: str, exchange: Exchange, world: World) -> MadeImage:
    """What a provider keeps at a URL is read by the guarded fetcher, as every URL that the gateway did not make."""
    assert exchange.principal is not None  # noqa: S101 - it was admitted
    data = image.data
    if image.url is not None:
        tenant_id = exchange.principal.tenant.id
        try:
            fetched = await world.fetcher.fetch(tenant_id, image.url, ("image/",), MAX_IMAGE_BYTES, "model")
        except (InvalidRequest, MediaNotFound):
            raise ProviderError(f"{provider} made an image that cannot be read where it says it is.") from None
        data = fetched.data
    content_type = sniff(data) or ""
    if not content_type.startswith("image/"):
        raise ProviderError(f"{provider} sent something that is no image.")
    return MadeImage(data, content_type=content_type, revised_prompt=image.revised_prompt)


async def image_list(call: ImagesCall, images: Sequence[MadeImage], exchange: Exchange, world: World) -> ImageList:
    """Raises StorageUnavailable (503)."""
    attempt = exchange.attempts[-1]
    assert attempt.usage is not None  # noqa: S101 - every part is accounted for
    if call.response_format == "b64_json":
        data = [_inline(image) for image in images]
    else:
        kept = await _stored(images, attempt, exchange, world)
        data = [_linked(image, one) for image, one in zip(images, kept, strict=True)]
    return ImageList(
        created=int(world.clock.now_s()),
        data=data,
        model=attempt.route.model_id,
        usage=ImagesUsage.of(attempt.usage, exchange.whole_cost_nano_usd),
        gateway=report(exchange, world.clock),
        size=None if shape_of(call.size) else call.size,
        quality=call.quality,
        output_format=images[0].content_type.removeprefix("image/"),
        background=call.background,
    )


def _inline(image: MadeImage) -> Image:
    return Image(
        b64_json=b64encode(image.data).decode(),
        content_type=image.content_type,
        size_bytes=len(image.data),
        revised_prompt=image.revised_prompt,
    )


def _linked(image: MadeImage, kept: KeptMedia) -> Image:
    return Image(**kept.told(), revised_prompt=image.revised_prompt)


async def _stored(images: Sequence[MadeImage], attempt: Attempt, exchange: Exchange, world: World) -> list[KeptMedia]:
    """Raises StorageUnavailable (503) when all were tried, so that it is known what there is."""
    left_s = exchange.answer_by_s - world.clock.monotonic_s()
    keeping = (keep_made(image.data, image.content_type, attempt, exchange, world, left_s) for image in images)
    outcomes = await asyncio.gather(*keeping, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, KeptMedia)]
