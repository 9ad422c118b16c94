"""The picture that a video begins with: in the form, a file of the tenant, inline, or on the internet."""

from __future__ import annotations

import base64

from gateway.model.errors import FileNotFound, InvalidRequest, MediaNotFound, PayloadTooLarge
from gateway.model.file import is_file_id
from gateway.model.media_type import sniff
from gateway.model.video import InputReference, Picture
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.video_read import PICTURE, VideoRequest
from gateway.ports import World

MAX_BYTES = 10 * 1024 * 1024
ACCEPTED = ("image/jpeg", "image/png", "image/webp")


async def picture_of(request: VideoRequest, exchange: Exchange, world: World) -> Picture | None:
    """Raises InvalidRequest (400), PayloadTooLarge (413), MediaNotFound (422), StorageUnavailable (503)."""
    if request.picture is not None:
        data = request.picture.data
    elif request.call.input_reference is not None:
        began_s = world.clock.monotonic_s()
        data = await _referred(request.call.input_reference, exchange, world)
        exchange.media_wait_s += world.clock.monotonic_s() - began_s
    else:
        return None
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge(f"{PICTURE} has more than {MAX_BYTES} bytes.", param=PICTURE)
    content_type = sniff(data)
    if content_type not in ACCEPTED:
        raise InvalidRequest(
            f"{PICTURE} is {content_type or 'of no known type'}, not JPEG, PNG or WebP.", param=PICTURE
        )
    return Picture(data, content_type)


async def _referred(reference: InputReference, exchange: Exchange, world: World) -> bytes:
    principal = exchange.principal
    assert principal is not None  # noqa: S101 - it was admitted
    source = reference.file_id or reference.image_url or ""
    if source.startswith("data:"):
        return _inline(source)
    file_id = source if reference.file_id or is_file_id(source) else world.files.id_in(source)
    if file_id is None:
        fetched = await world.fetcher.fetch(principal.tenant.id, source, ("image/",), MAX_BYTES, PICTURE)
        return fetched.data
    try:
        return (await world.files.get(principal.tenant.id, file_id, MAX_BYTES)).data
    except FileNotFound as error:
        raise MediaNotFound(error.message, param=PICTURE) from None


def _inline(source: str) -> bytes:
    header, comma, data = source.partition(",")
    if not comma or not header.endswith(";base64"):
        raise InvalidRequest("A data: URL has to be base64.", param=PICTURE)
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:  # also of what is not ASCII, which is no binascii.Error
        raise InvalidRequest(f"{PICTURE} is not valid base64.", param=PICTURE) from None
