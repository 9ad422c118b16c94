"""Can the chosen model make such images? Answered from the catalog, before anything is sent or paid."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.model.catalog import AnySize, ImageFacts
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.image_size import Pixels, Shape, pixels_of, shape_of
from gateway.model.images import ImagesCall
from gateway.pipeline.route import AnyRoute

FOR_THE_GATEWAY = frozenset({"conversation_id"})
WITHOUT_TRANSPARENCY = "jpeg"
COMPRESSED = ("jpeg", "webp")


def checked(call: ImagesCall, route: AnyRoute) -> ImagesCall:
    """The call in the words of its model's facts: without "auto", and a size as a shape where the model is told shapes.

    Raises CapabilityNotSupported or InvalidRequest (400), naming the parameter and what the model takes.
    """
    _refuse_what_nobody_does(call)
    facts = route.facts.image
    if facts is None:
        named = ("size", "quality", "background", "moderation")
        return replace(call, **{name: _chosen(getattr(call, name)) for name in named})
    if facts.max_prompt is not None and len(call.prompt) > facts.max_prompt:
        message = f"{route.model_id} takes prompts of {facts.max_prompt} characters; this one has {len(call.prompt)}."
        raise InvalidRequest(message, param="prompt")
    _check_compression(call, facts, route)
    return replace(
        call,
        size=_size(call.size, facts, route),
        quality=_one_of(call.quality, facts.qualities, "quality", route),
        output_format=_one_of(call.output_format, facts.formats, "output_format", route),
        background=_background(call, facts, route),
        moderation=_one_of(call.moderation, ("low",) if facts.moderation else (), "moderation", route),
    )


def _refuse_what_nobody_does(call: ImagesCall) -> None:
    for param in ("stream", "partial_images"):
        if getattr(call, param):
            raise CapabilityNotSupported(f"'{param}' is not supported by this version of the gateway.", param=param)
    for name in call.metadata or {}:
        if name not in FOR_THE_GATEWAY:
            raise CapabilityNotSupported("No maker of images takes metadata.", param=f"metadata.{name}")


def _chosen(value: str | None) -> str | None:
    return None if value == "auto" else value


def _one_of(value: str | None, among: Sequence[str], param: str, route: AnyRoute) -> str | None:
    if (chosen := _chosen(value)) is None or chosen in among:
        return chosen
    if not among:
        raise CapabilityNotSupported(f"{route.model_id} does not support '{param}'.", param=param)
    raise InvalidRequest(f"{route.model_id} takes as '{param}': {', '.join(among)}.", param=param)


def _background(call: ImagesCall, facts: ImageFacts, route: AnyRoute) -> str | None:
    background = _one_of(call.background, facts.backgrounds, "background", route)
    if background == "transparent" and call.output_format == WITHOUT_TRANSPARENCY:
        raise InvalidRequest("A transparent background needs output_format png or webp.", param="background")
    return background


def _check_compression(call: ImagesCall, facts: ImageFacts, route: AnyRoute) -> None:
    if call.output_compression is None:
        return
    if not facts.compression:
        message = f"{route.model_id} does not support 'output_compression'."
        raise CapabilityNotSupported(message, param="output_compression")
    if call.output_format not in COMPRESSED:
        raise InvalidRequest("output_compression needs output_format jpeg or webp.", param="output_compression")


def _size(size: str | None, facts: ImageFacts, route: AnyRoute) -> str | None:
    if (chosen := _chosen(size)) is None or chosen in facts.sizes:
        return chosen
    pixels, shape = pixels_of(chosen), shape_of(facts.shapes.get(chosen, chosen))
    if pixels is not None and facts.any_size is not None and _fits(pixels, facts.any_size):
        return chosen
    if shape is not None and (known := _known(shape, facts)) is not None:
        return known.text
    if pixels is None and shape is None:
        raise InvalidRequest("size is written as 1024x1024, or as a shape: 16:9, 16:9@2K.", param="size")
    if not (facts.sizes or facts.any_size or facts.ratios):
        raise CapabilityNotSupported(f"{route.model_id} does not support 'size'.", param="size")
    raise InvalidRequest(f"{route.model_id} makes images of {_offered(facts)}.", param="size")


def _known(shape: Shape, facts: ImageFacts) -> Shape | None:
    """Resolutions are told apart whatever their letters' case."""
    if shape.ratio not in facts.ratios:
        return None
    if shape.resolution is None:
        return shape
    named = [name for name in facts.resolutions if name.lower() == shape.resolution.lower()]
    return Shape(shape.ratio, named[0]) if named else None


def _fits(pixels: Pixels, rule: AnySize) -> bool:
    shorter, longer = sorted(pixels)
    return (
        rule.min_side <= shorter
        and longer <= rule.max_side
        and not any(side % rule.step for side in pixels)
        and (rule.min_pixels is None or rule.min_pixels <= pixels.area)
        and (rule.max_pixels is None or pixels.area <= rule.max_pixels)
        and (rule.max_ratio is None or longer <= rule.max_ratio * shorter)
    )


def _offered(facts: ImageFacts) -> str:
    offered = [", ".join((*facts.sizes, *facts.shapes))] if facts.sizes or facts.shapes else []
    if (rule := facts.any_size) is not None:
        any_size = f"sides of {rule.min_side} to {rule.max_side} pixels that are multiples of {rule.step}"
        pixels = f", {rule.min_pixels or 1} to {rule.max_pixels} pixels in all" if rule.max_pixels else ""
        ratio = f", the longer at most {rule.max_ratio} times the shorter" if rule.max_ratio else ""
        offered.append(f"{any_size}{pixels}{ratio}")
    if facts.ratios:
        at = f", each with @{' or @'.join(facts.resolutions)}" if facts.resolutions else ""
        offered.append(f"the shapes {', '.join(facts.ratios)}{at}")
    return "; or ".join(offered)
