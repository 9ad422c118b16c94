"""Media that a provider made: named by the gateway, kept for the tenant, linked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.errors import StorageUnavailable
from gateway.model.file import GENERATED_KEPT_S, File, Origin
from gateway.model.provider_errors import ProviderError
from gateway.pipeline.generated_media import keep_media
from gateway.ports import World
from tests.fakes import MemoryAccess, MemoryCatalog, MemoryFiles, ScriptedIncoming, ScriptedOutbound, world_of

ORIGIN = Origin("openai/gpt-image-1", "req_1")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
def world() -> World:
    return world_of(ScriptedOutbound(ScriptedIncoming(200, {}, [])), MemoryAccess(), MemoryCatalog({}))


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_was_made_is_a_file_of_the_tenant(world: World, streamed: bool) -> None:
    media: Any = in_pieces(PNG[:3], PNG[3:], b"x" * 200_000, b"y") if streamed else PNG
    kept = await keep_media("acme", ORIGIN, media, "application/octet-stream", world)
    stored = await world.files.get("acme", kept.file.id, 1_000_000)
    whole = PNG + b"x" * 200_000 + b"y" if streamed else PNG
    now_s = int(world.clock.now_s())
    assert (stored.data, stored.content_type) == (whole, "image/png")
    assert await world.files.head("acme", kept.file.id) == kept.file
    assert kept.told() == {
        "url": kept.link.url,
        "url_expires_at": now_s + 600,
        "file_id": kept.file.id,
        "content_type": "image/png",
        "size_bytes": len(whole),
        "expires_at": now_s + GENERATED_KEPT_S,
    }
    assert (kept.file.purpose, kept.file.origin) == ("generated", ORIGIN)


@pytest.mark.parametrize(
    ("data", "declared", "content_type", "ending"),
    [
        (PNG, "image/jpeg", "image/png", ".png"),
        (b"\xff\xd8\xff\xe0", "image/png", "image/jpeg", ".jpg"),
        (b"\x00\x01" * 10, "audio/pcm; rate=24000", "audio/pcm", ".pcm"),
        (b"\x00\x00\x00\x18ftypisom", "Video/MP4", "video/mp4", ".mp4"),
    ],
)
async def test_bytes_are_believed_and_where_they_do_not_say_the_provider(
    world: World, data: bytes, declared: str, content_type: str, ending: str
) -> None:
    kept = await keep_media("acme", ORIGIN, data, declared, world)
    assert kept.file.content_type == content_type
    assert kept.file.filename.startswith(f"{content_type.partition('/')[0]}_")
    assert kept.file.filename.endswith(ending)


async def test_a_source_that_breaks_is_told_as_it_broke(world: World) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield PNG
        raise ProviderError("broken off")

    with pytest.raises(ProviderError, match="broken off"):
        await keep_media("acme", ORIGIN, broken(), "image/png", world)
    assert (await world.files.page("acme", 10, None, None)).files == []


async def test_a_storage_that_takes_too_long_is_not_waited_for(world: World) -> None:
    class Stuck(MemoryFiles):
        async def put(self, tenant_id: str, file: File, data: bytes) -> None:
            await asyncio.Event().wait()

    with pytest.raises(StorageUnavailable):
        await keep_media("acme", ORIGIN, PNG, "image/png", replace(world, files=Stuck(world.clock)), timeout_s=0.01)
