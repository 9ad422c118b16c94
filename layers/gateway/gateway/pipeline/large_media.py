"""Which media of a call go inline and which are too large for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from gateway.model.chat import Medium
from gateway.model.errors import PayloadTooLarge
from gateway.model.file import StoredFile
from gateway.pipeline.parts import Spot
from gateway.pipeline.route import ChatRoute


class Loaded(Struct, frozen=True):
    """`medium`: what the bytes turned out to be."""

    file: StoredFile
    medium: Medium

    @property
    def inline_bytes(self) -> int:
        """In base64."""
        return (len(self.file.data) + 2) // 3 * 4


def too_large_for_inline(loaded: Mapping[Spot, Loaded], rest_bytes: Callable[[], int], route: ChatRoute) -> set[Spot]:
    """What has to be uploaded: each that is too large by itself, then the largest, until the request is small enough.

    `rest_bytes`: measures the request without its media. Raises PayloadTooLarge (413) where there is no upload.
    """
    limits = route.provider.inline(route.facts)
    large = set()
    for spot, media in loaded.items():
        most = limits.of_part(media.medium, media.file.content_type)
        if most is not None and len(media.file.data) > most:
            if refusal := _no_upload(media, spot, route, f"at most {most} bytes in one {media.medium}"):
                raise refusal
            large.add(spot)
    if limits.request_bytes is None:
        return large
    inline = {spot: media for spot, media in loaded.items() if spot not in large}
    return large | _too_many(inline, rest_bytes(), limits.request_bytes, route)


def _too_many(inline: Mapping[Spot, Loaded], rest_bytes: int, most_bytes: int, route: ChatRoute) -> set[Spot]:
    large: set[Spot] = set()
    refusals: list[PayloadTooLarge] = []
    over = rest_bytes + sum(media.inline_bytes for media in inline.values()) - most_bytes
    for spot, media in sorted(inline.items(), key=lambda item: item[1].inline_bytes, reverse=True):
        if over <= 0:
            break
        if refusal := _no_upload(media, spot, route, f"requests of at most {most_bytes} bytes, media in base64"):
            refusals.append(refusal)
            continue
        large.add(spot)
        over -= media.inline_bytes
    if over > 0 and refusals:
        raise refusals[0]
    return large


def _no_upload(media: Loaded, spot: Spot, route: ChatRoute, limit: str) -> PayloadTooLarge | None:
    """Why these bytes cannot be uploaded, None when they can."""
    api, size = route.provider.files, len(media.file.data)
    if api is None or not media.file.content_type.startswith(api.types):
        return PayloadTooLarge(
            f"{route.provider.name} takes {limit}, and {media.file.content_type} in no other way: "
            f"this {media.medium} has {size}.",
            param=spot.param,
        )
    if size > api.max_bytes:
        return PayloadTooLarge(f"{route.provider.name} takes files of at most {api.max_bytes} bytes.", param=spot.param)
    return None
