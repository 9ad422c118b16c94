"""Images in as many requests as their provider's limit demands."""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from gateway.model.images import Images, ImagesCall
from gateway.pipeline.route import Route
from gateway.pipeline.split import Part
from gateway.providers.contract import ImagesWire

PARTS_AT_ONCE = 4

ImagesPart: TypeAlias = Part[ImagesCall, Images]


def images_of_each(call: ImagesCall, route: Route[ImagesWire]) -> list[int]:
    """How many images each request asks for."""
    facts = route.facts.image
    most = (facts.max_images if facts else None) or route.wire.max_images
    whole, rest = divmod(call.n or 1, most)
    return [most] * whole + [rest] * bool(rest)


def cut(call: ImagesCall, route: Route[ImagesWire]) -> list[ImagesPart]:
    return [Part(replace(call, n=images)) for images in images_of_each(call, route)]
