"""What images use: at most before they are asked for, and by the catalog's measures afterwards."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.catalog import ImageFacts, ModelFacts
from gateway.model.estimate import BYTES_PER_TOKEN
from gateway.model.image_size import pixels_of, shape_of
from gateway.model.images import Images, ImagesCall
from gateway.model.units import UnitName, unit_name
from gateway.model.usage import CompletionTokensDetails, TokenUsage

TOKENS_AROUND_A_PROMPT = 64
UNKNOWN_IMAGE_TOKENS = 16_384
"""The most that any documented image of 1.5 megapixels or less counts is below this."""
USUAL_PIXELS = 3 * 2**19
USUAL_SIZE = "1024x1024"


def usage_at_most(call: ImagesCall, facts: ModelFacts, requests: int) -> TokenUsage:
    """Of all requests together, each of which has the prompt."""
    images = call.n or 1
    units = units_of(call, facts, images)
    if facts.prices is None:
        return TokenUsage(units=units)
    prompt_tokens = len(call.prompt.encode()) + TOKENS_AROUND_A_PROMPT + call.options_bytes
    each = image_tokens_at_most(call, facts) + (facts.image.text_tokens if facts.image else 0)
    return TokenUsage(prompt_tokens=prompt_tokens * requests, completion_tokens=each * images, units=units)


def usage_of(call: ImagesCall, made: Images | None, facts: ModelFacts) -> TokenUsage:
    """Of one request, answered or not waited for; tokens are estimated where the provider gave no figures."""
    images = (call.n or 1) if made is None else len(made.images)
    told = made.usage if made else None
    if told is None and facts.prices is not None:
        told = _estimated(call, facts, images)
    told = told or TokenUsage()
    return replace(told, units={**told.units, **units_of(call, facts, images)})


def _estimated(call: ImagesCall, facts: ModelFacts, images: int) -> TokenUsage:
    tokens = images * image_tokens_at_most(call, facts)
    return TokenUsage(
        prompt_tokens=-(-len(call.prompt.encode()) // BYTES_PER_TOKEN),
        completion_tokens=tokens,
        completion=CompletionTokensDetails(image_tokens=tokens),
        estimated=True,
    )


def image_tokens_at_most(call: ImagesCall, facts: ModelFacts) -> int:
    """Of one image; of the dearest one where the call leaves its quality or resolution to the model."""
    counts = facts.image.tokens if facts.image else {}
    pixels = pixels_of(call.size)
    most = counts.get(call.quality or _resolution(call, facts.image) or "") or max(
        counts.values(), default=UNKNOWN_IMAGE_TOKENS
    )
    return most if pixels is None else max(most, -(-most * pixels.area // USUAL_PIXELS))


def units_of(call: ImagesCall, facts: ModelFacts, images: int) -> dict[UnitName, int]:
    """Of the units that the model is paid by."""
    paid_by = {price.unit for price in facts.unit_prices}
    units: dict[UnitName, int] = {}
    if "images" in paid_by:
        quality = call.quality or (facts.image.qualities[:1] or ("",))[0] if facts.image else ""
        kind = (_resolution(call, facts.image) or "", quality)
        units[unit_name("images", ":".join(part for part in kind if part))] = images
    if "pixels" in paid_by:
        pixels = pixels_of(call.size or (facts.image.sizes[:1] or (USUAL_SIZE,))[0] if facts.image else USUAL_SIZE)
        units["pixels"] = images * (pixels.area if pixels else USUAL_PIXELS)
    return units


def _resolution(call: ImagesCall, facts: ImageFacts | None) -> str | None:
    shape = shape_of(call.size)
    if shape is not None and shape.resolution is not None:
        return shape.resolution
    return facts.resolutions[0] if facts and facts.resolutions else None
