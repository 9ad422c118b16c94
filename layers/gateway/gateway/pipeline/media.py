"""Media of a call: from what the client points at to bytes in the call, each of the kind its part says.

A part points at a file of the tenant (by id, or by a URL of the file storage), at a `data:` URL, or at the internet,
which only the guarded fetcher reads. Addresses that the provider reads itself are left (`provider_urls.py`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from gateway.model.chat import (
    AudioPart,
    ChatCall,
    DocumentPart,
    FilePart,
    FileRef,
    ImagePart,
    ImageUrl,
    ImageUrlPart,
    InputAudio,
    InputAudioPart,
    LargePart,
    Medium,
    Part,
    VideoPart,
)
from gateway.model.errors import FileNotFound, InvalidRequest, MediaNotFound, PayloadTooLarge
from gateway.model.file import NewFile, StoredFile, is_file_id
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.file_types import UNKNOWN, stored_type
from gateway.pipeline.input_limits import check_measures
from gateway.pipeline.large_media import Loaded, too_large_for_inline
from gateway.pipeline.parts import Spot, parts_of, with_parts
from gateway.pipeline.readable import check_readable
from gateway.pipeline.route import ChatRoute
from gateway.ports import World

MAX_BYTES = 40 * 1024 * 1024
"""Of all media of one call: inline ones need four times as much memory, for base64, JSON and the sending of them."""
AT_ONCE = 4
UNSNIFFABLE_FORMATS = ("pcm16", "pcm", "g711_ulaw", "g711_alaw")
ACCEPTED = {
    "image": ("image/",),
    "audio": ("audio/", "video/"),  # a recording may stand in a container made for video
    "video": ("video/",),
    "document": ("application/", "text/", "image/"),
}
AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/opus": "ogg", "audio/mp4": "m4a", "audio/x-matroska": "mka"}

MediaPart: TypeAlias = ImageUrlPart | ImagePart | InputAudioPart | AudioPart | VideoPart | FilePart | DocumentPart


class Place(msgspec.Struct, frozen=True):
    """A media part, where it stands, and the text that says where its bytes are."""

    spot: Spot
    part: MediaPart
    source: str

    @property
    def param(self) -> str:
        return self.spot.param


async def with_media(call: ChatCall, route: ChatRoute, exchange: Exchange, world: World) -> ChatCall:
    """The call with the bytes of its media inside: inline, or as a LargePart when they have to be uploaded.

    Raises MediaNotFound (422), also when they are not there before an answer has to begin, InvalidRequest and
    CapabilityNotSupported (400), PayloadTooLarge (413), StorageUnavailable (503).
    """
    theirs = (*route.provider.own_urls, *route.provider.public_urls)
    places = [place for place in places_of(call) if not place.source.startswith(theirs)]
    places = [place for place in places if not _is_unsniffable(place.part)]
    if not places:
        return call
    began_s = world.clock.monotonic_s()
    loading = Loading(exchange, world)
    try:
        async with asyncio.timeout(exchange.answer_by_s - began_s), asyncio.TaskGroup() as group:
            tasks = [group.create_task(loading.load(place)) for place in places]
    except ExceptionGroup as failures:
        raise _first(failures) from None
    except TimeoutError:
        raise MediaNotFound("The media did not come in time.", param=places[0].param) from None
    finally:
        exchange.media_wait_s += world.clock.monotonic_s() - began_s
    loaded = {place.spot: task.result() for place, task in zip(places, tasks, strict=True)}

    check_readable(loaded, route)
    check_measures(call, loaded, route)

    def rest_bytes() -> int:
        return len(msgspec.json.encode(call)) - sum(len(place.source) for place in places)

    large = too_large_for_inline(loaded, rest_bytes, route)
    return with_parts(call, {place.spot: _part(loaded[place.spot], place, large) for place in places})


class Loading:
    """Reads the media of one call, a few at a time, and counts their bytes together."""

    def __init__(self, exchange: Exchange, world: World) -> None:
        self._exchange, self._world = exchange, world
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._left_bytes = MAX_BYTES

    async def load(self, place: Place) -> Loaded:
        async with self._slots:
            found = await self._read(place)
        self._left_bytes -= len(found.data)
        if self._left_bytes < 0:
            raise PayloadTooLarge(f"The media of one call are limited to {MAX_BYTES} bytes.", param=place.param)
        return Loaded(found, _medium_of(found, place))

    async def _read(self, place: Place) -> StoredFile:
        principal = self._exchange.principal
        assert principal is not None  # noqa: S101 - authentication is the first step
        tenant_id = principal.tenant.id
        if isinstance(place.part, InputAudioPart):
            return _decoded("", place.source, place)
        if place.source.startswith("data:"):
            header, comma, data = place.source.partition(",")
            if not comma or not header.endswith(";base64"):
                raise InvalidRequest("A data: URL has to be base64.", param=place.param)
            return _decoded(header, data, place)
        file_id = place.source if is_file_id(place.source) else self._world.files.id_in(place.source)
        if file_id is not None:
            try:
                return await self._world.files.get(tenant_id, file_id, MAX_BYTES)
            except FileNotFound as error:
                raise MediaNotFound(error.message, param=place.param) from None
        accepted = ACCEPTED[_medium(place.part)]
        return await self._world.fetcher.fetch(tenant_id, place.source, accepted, MAX_BYTES, place.param)


def places_of(call: ChatCall) -> Iterator[Place]:
    for spot, part in parts_of(call):
        if isinstance(part, MediaPart):
            yield Place(spot, part, _source(part, spot.param))


def _is_unsniffable(part: MediaPart) -> bool:
    return isinstance(part, InputAudioPart) and part.input_audio.format in UNSNIFFABLE_FORMATS


def _source(part: MediaPart, param: str) -> str:
    if isinstance(part, ImageUrlPart):
        return part.image_url.url
    if isinstance(part, InputAudioPart):
        return part.input_audio.data
    if isinstance(part, FilePart):
        sources = [source for source in (part.file.file_data, part.file.file_id) if source]
        if len(sources) != 1:
            raise InvalidRequest("A file part has either file_id or file_data.", param=f"{param}.file")
        return sources[0]
    return part.url


def _medium(part: MediaPart) -> Medium:
    if isinstance(part, ImageUrlPart | ImagePart):
        return "image"
    if isinstance(part, InputAudioPart | AudioPart):
        return "audio"
    return "video" if isinstance(part, VideoPart) else "document"


def _decoded(header: str, data: str, place: Place) -> StoredFile:
    try:
        body = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("The data is not base64.", param=place.param) from None
    declared = header.removeprefix("data:").partition(";")[0] or UNKNOWN
    filename = (place.part.file.filename if isinstance(place.part, FilePart) else None) or ""
    return StoredFile(body, stored_type(NewFile(filename, declared, "user_data"), body), filename)


def _medium_of(found: StoredFile, place: Place) -> Medium:
    """Of the bytes, under the type that they really are: a document may be an image."""
    content_type, medium = found.content_type, _medium(place.part)
    if not content_type.startswith(ACCEPTED[medium]) or content_type == UNKNOWN:
        raise InvalidRequest(f"This is {content_type}, not {medium}.", param=place.param)
    return "image" if content_type.startswith("image/") else medium


def _part(loaded: Loaded, place: Place, large: set[Spot]) -> Part:
    """The bytes as the part that every wire knows."""
    found, content_type = loaded.file, loaded.file.content_type
    filename = found.filename or (place.part.name if isinstance(place.part, DocumentPart) else None) or "document"
    detail = place.part.image_url.detail if isinstance(place.part, ImageUrlPart) else None
    cache_control = getattr(place.part, "cache_control", None)
    if place.spot in large:
        return LargePart(
            file=FileRef(filename=filename),
            medium=loaded.medium,
            content_type=content_type,
            data=found.data,
            detail=detail,
            cache_control=cache_control,
        )
    text = base64.b64encode(found.data).decode()
    if loaded.medium == "audio":
        audio = InputAudio(data=text, format=AUDIO_FORMATS.get(content_type, content_type.partition("/")[2]))
        return InputAudioPart(input_audio=audio, cache_control=cache_control)
    url = f"data:{content_type};base64,{text}"
    if loaded.medium == "image":
        return ImageUrlPart(image_url=ImageUrl(url=url, detail=detail), cache_control=cache_control)
    if loaded.medium == "video":
        return VideoPart(url=url)
    return FilePart(file=FileRef(file_data=url, filename=filename), cache_control=cache_control)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """Several media may be refused at once; the client is told of one."""
    error: Exception = failures
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
