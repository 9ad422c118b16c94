"""Media that a provider made go into the tenant's own storage, and the answer says where they are."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.model.errors import StorageUnavailable
from gateway.model.file import GENERATED_KEPT_S, File, Link, Origin, created_at_s, new_file_id
from gateway.model.media_type import sniff
from gateway.model.provider_errors import ProviderError
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.ports import World

STORE_TIMEOUT_S = 120.0
_HEAD_BYTES = 64 * 1024
_ENDINGS = {
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/l16": "pcm",
    "image/jpeg": "jpg",
    "image/svg+xml": "svg",
    "video/quicktime": "mov",
}


class KeptMedia(Struct, frozen=True):
    """What was stored, with the link that opens it now."""

    file: File
    link: Link

    def told(self) -> dict[str, Any]:
        """`expires_at`: of the file; `/v1/files/{id}/content` gives a fresh URL until then."""
        return {
            "url": self.link.url,
            "url_expires_at": self.link.expires_at_s,
            "file_id": self.file.id,
            "content_type": self.file.content_type,
            "size_bytes": self.file.size_bytes,
            "expires_at": self.file.expires_at_s,
        }


async def keep_made(
    media: bytes | AsyncIterable[bytes],
    declared_type: str,
    attempt: Attempt,
    exchange: Exchange,
    world: World,
    timeout_s: float,
) -> KeptMedia:
    """What an attempt made, noted in the exchange. Raises as `keep_media`."""
    assert exchange.principal is not None  # noqa: S101 - it was admitted
    origin = Origin(attempt.route.model_id, exchange.request_id)
    kept = await keep_media(exchange.principal.tenant.id, origin, media, declared_type, world, timeout_s)
    exchange.made.append(kept.file.id)
    attempt.made.append(kept.file.id)
    return kept


async def discard_made(attempt: Attempt, exchange: Exchange, world: World) -> None:
    """What an attempt made, of which nobody is told because another one answers."""
    if not attempt.made:
        return
    assert exchange.principal is not None  # noqa: S101 - it was admitted
    for file_id in attempt.made:
        exchange.made.remove(file_id)
        try:
            await world.files.delete(exchange.principal.tenant.id, file_id)
        except StorageUnavailable as error:
            world.records.trouble("media.not_deleted", request_id=exchange.request_id, reason=error.message)
    attempt.made.clear()


async def keep_media(
    tenant_id: str,
    origin: Origin,
    media: bytes | AsyncIterable[bytes],
    declared_type: str,
    world: World,
    timeout_s: float = STORE_TIMEOUT_S,
) -> KeptMedia:
    """Stores a whole body, or one that comes piece by piece and is never held as a whole.

    `declared_type`: believed where the bytes do not say. Raises StorageUnavailable (503), ProviderError (502) for what
    is no medium at all, and what reading `media` raises. The provider has been paid by then, so usage is entered before
    this is called.
    """
    try:
        async with asyncio.timeout(timeout_s):
            file = await _stored(tenant_id, origin, media, declared_type, world)
            return KeptMedia(file, await world.files.link(tenant_id, file))
    except TimeoutError as error:
        raise StorageUnavailable("What was made could not be stored in time.") from error


async def _stored(
    tenant_id: str, origin: Origin, media: bytes | AsyncIterable[bytes], declared_type: str, world: World
) -> File:
    if isinstance(media, bytes):
        file = _file(origin, media, declared_type, world.clock.now_s())
        await world.files.put(tenant_id, file, media)
        return replace(file, size_bytes=len(media))
    chunks = aiter(media)
    head = await _head(chunks)
    file = _file(origin, head, declared_type, world.clock.now_s())
    return replace(file, size_bytes=await world.files.put_stream(tenant_id, file, _again(head, chunks)))


def _file(origin: Origin, start: bytes, declared_type: str, now_s: float) -> File:
    """Its size is not known yet. Id and name are made here: nothing of a prompt or of an answer gets into them."""
    content_type = _content_type(start, declared_type.partition(";")[0].strip().lower())
    file_id = new_file_id("generated", now_s, secrets.token_bytes(10))
    medium, _, kind = content_type.partition("/")
    name = f"{medium}_{file_id[-8:]}.{_ENDINGS.get(content_type, kind)}"
    return File(file_id, name, content_type, 0, created_at_s(file_id) + GENERATED_KEPT_S, origin=origin)


def _content_type(start: bytes, declared: str) -> str:
    """Bytes are believed; where a medium was declared, a page or a document in its place is none."""
    found = sniff(start)
    if not start or found in ("text/html", "application/json"):
        raise ProviderError(
            f"The provider sent {found or 'nothing'} in place of {declared}.", provider_code="no_medium"
        )
    return declared if found is None or found.startswith("text/") else found


async def _head(chunks: AsyncIterator[bytes]) -> bytes:
    gathered = bytearray()
    async for chunk in chunks:
        gathered += chunk
        if len(gathered) >= _HEAD_BYTES:
            break
    return bytes(gathered)


async def _again(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk
