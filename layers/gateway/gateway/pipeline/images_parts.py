"""Images in as many requests as their provider's limit demands."""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from gateway.model.http import MAX_ANSWER_BYTES
from gateway.model.image_size import pixels_of
from gateway.model.images import Images, ImagesCall
from gateway.pipeline.route import Route
from gateway.pipeline.split import Part
from gateway.providers.contract import ImagesWire

PARTS_AT_ONCE = 4

BYTES_PER_PIXEL = 4
"""Three colours that do not compress, in base64."""

ImagesPart: TypeAlias = Part[ImagesCall, Images]


def images_of_each(call: ImagesCall, route: Route[ImagesWire]) -> list[int]:
    """How many images each request asks for: no more than its answer can hold."""
    facts = route.facts.image
    most = (facts.max_images if facts else None) or route.wire.max_images
    if (pixels := pixels_of(call.size)) is not None:
        most = max(1, min(most, MAX_ANSWER_BYTES // (BYTES_PER_PIXEL * pixels.area)))
    whole, rest = divmod(call.n or 1, most)
    return [most] * whole + [rest] * bool(rest)


def cut(call: ImagesCall, route: Route[ImagesWire]) -> list[ImagesPart]:
    return [Part(replace(call, n=images)) for images in images_of_each(call, route)]
