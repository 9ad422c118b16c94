"""The recording of a call: from its form, from a file of the tenant, from a data: URL, or from the internet."""

from __future__ import annotations

import base64
import binascii

from msgspec import Struct

from gateway.model.duration import Corrupt, duration_ms
from gateway.model.errors import FileNotFound, InvalidRequest, MediaNotFound, PayloadTooLarge
from gateway.model.file import is_file_id
from gateway.model.media_type import sniff
from gateway.model.transcription import Sound, longest_ms
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.transcription_read import AskedTranscription
from gateway.ports import World

MAX_SOUND_BYTES = 40 * 1024 * 1024
ACCEPTED = ("audio/", "video/")
"""A recording may stand in a container made for video."""


class Length(Struct, frozen=True):
    """What is known of a recording before it is read."""

    longest_ms: int
    size_bytes: int


async def length_of(asked: AskedTranscription, tenant_id: str, max_bytes: int | None, world: World) -> Length:
    """The most that it can be: exact where the bytes are here, by the size of a file, else as long as any that is read.

    Raises MediaNotFound (422), InvalidRequest (400), PayloadTooLarge (413), StorageUnavailable (503).
    """
    most_bytes = min(MAX_SOUND_BYTES, max_bytes or MAX_SOUND_BYTES)
    data = asked.upload if asked.upload is not None else _inline(asked.call.file or "")
    if data is not None:
        sound = sound_of(data, most_bytes)
        return Length(longest_ms(sound.duration_ms, len(data)), len(data))
    size_bytes = most_bytes
    if (file_id := _file_id(asked, world)) is not None:
        try:
            size_bytes = (await world.files.head(tenant_id, file_id)).size_bytes
        except FileNotFound as error:
            raise MediaNotFound(error.message, param="file") from None
        if size_bytes > most_bytes:
            raise PayloadTooLarge(f"A recording has at most {most_bytes} bytes here.", param="file")
    return Length(longest_ms(None, size_bytes), size_bytes)


async def sound_in(asked: AskedTranscription, max_bytes: int | None, exchange: Exchange, world: World) -> Sound:
    """Raises MediaNotFound (422), InvalidRequest (400), PayloadTooLarge (413), StorageUnavailable (503)."""
    assert exchange.principal is not None  # noqa: S101 - it was admitted
    most_bytes = min(MAX_SOUND_BYTES, max_bytes or MAX_SOUND_BYTES)
    data = asked.upload if asked.upload is not None else _inline(asked.call.file or "")
    if data is not None:
        return sound_of(data, most_bytes)
    began_s = world.clock.monotonic_s()
    try:
        return sound_of(await _read(asked, exchange.principal.tenant.id, most_bytes, world), most_bytes)
    finally:
        exchange.media_wait_s += world.clock.monotonic_s() - began_s


async def _read(asked: AskedTranscription, tenant_id: str, most_bytes: int, world: World) -> bytes:
    if (file_id := _file_id(asked, world)) is None:
        found = await world.fetcher.fetch(tenant_id, asked.call.file or "", ACCEPTED, most_bytes, "file")
        return found.data
    try:
        return (await world.files.get(tenant_id, file_id, most_bytes)).data
    except FileNotFound as error:
        raise MediaNotFound(error.message, param="file") from None


def _file_id(asked: AskedTranscription, world: World) -> str | None:
    source = asked.call.file or ""
    return source if is_file_id(source) else world.files.id_in(source)


def _inline(source: str) -> bytes | None:
    """Of a data: URL; None for any other."""
    if not source.startswith("data:"):
        return None
    header, comma, data = source.partition(",")
    if not comma or not header.endswith(";base64"):
        raise InvalidRequest("A data: URL has to be base64.", param="file")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("The data is not base64.", param="file") from None


def sound_of(data: bytes, most_bytes: int) -> Sound:
    """Raises InvalidRequest (400) for what is no recording, or a broken one; PayloadTooLarge (413)."""
    if len(data) > most_bytes:
        raise PayloadTooLarge(f"A recording has at most {most_bytes} bytes here; this has {len(data)}.", param="file")
    content_type = sniff(data) or ("of no known type" if data else "empty")
    if not content_type.startswith(ACCEPTED):
        raise InvalidRequest(f"The file is {content_type}, not a recording.", param="file")
    try:
        lasts_ms = duration_ms(data, content_type)
    except Corrupt:
        raise InvalidRequest(f"The recording is corrupt: it begins like {content_type}.", param="file") from None
    if lasts_ms == 0:
        raise InvalidRequest("The recording has no sound in it.", param="file")
    return Sound(data, content_type, lasts_ms)
