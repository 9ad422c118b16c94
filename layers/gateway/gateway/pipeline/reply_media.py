"""Media that a chat model puts into its reply: kept in the tenant's storage, and read from there when they come back.

A provider is given the bytes again, never a URL of the storage.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Sequence

from msgspec.structs import replace

from gateway.model.chat import AssistantMessage, ChatCall, Json
from gateway.model.errors import FileNotFound, InvalidRequest, MediaNotFound
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Chunk, Reply
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.generated_media import STORE_TIMEOUT_S, keep_made
from gateway.pipeline.media import MAX_BYTES
from gateway.ports import World

GENERATED = ("image", "audio")


async def with_media_kept(reply: Reply, attempt: Attempt, exchange: Exchange, world: World) -> Reply:
    """Raises ProviderError (502), StorageUnavailable (503); the provider has been paid by then."""
    if not any(choice.message.media for choice in reply.choices):
        return reply
    choices = [
        replace(
            choice, message=replace(choice.message, media=await _kept(choice.message.media, attempt, exchange, world))
        )
        for choice in reply.choices
    ]
    return replace(reply, choices=choices)


async def with_chunk_media_kept(
    chunks: Sequence[Chunk], attempt: Attempt, exchange: Exchange, world: World
) -> Sequence[Chunk]:
    """As `with_media_kept`."""
    if not any(choice.delta.media for chunk in chunks for choice in chunk.choices):
        return chunks
    return [
        replace(
            chunk,
            choices=[
                replace(
                    choice, delta=replace(choice.delta, media=await _kept(choice.delta.media, attempt, exchange, world))
                )
                for choice in chunk.choices
            ],
        )
        for chunk in chunks
    ]


async def with_earlier_media(call: ChatCall, exchange: Exchange, world: World) -> ChatCall:
    """Media of earlier replies, which name a file, with its bytes.

    Raises MediaNotFound (422), InvalidRequest (400), PayloadTooLarge (413), StorageUnavailable (503).
    """
    messages = [*call.messages]
    left_bytes = MAX_BYTES
    for index, message in enumerate(messages):
        if not isinstance(message, AssistantMessage) or not message.media:
            continue
        entries = []
        for at, entry in enumerate(message.media):
            read = await _read(entry, f"messages[{index}].media[{at}]", left_bytes, exchange, world)
            left_bytes -= len(read.get("data", ""))
            entries.append(read)
        messages[index] = replace(message, media=entries)
    return call if messages == call.messages else replace(call, messages=messages)


async def _kept(entries: list[Json] | None, attempt: Attempt, exchange: Exchange, world: World) -> list[Json] | None:
    """What has no bytes stays as it is."""
    return None if entries is None else [await _stored(entry, attempt, exchange, world) for entry in entries]


async def _stored(entry: Json, attempt: Attempt, exchange: Exchange, world: World) -> Json:
    data = entry.get("data")
    if not isinstance(data, str):
        return entry
    try:
        body = b64decode(data, validate=True)
    except (NoBase64, ValueError):
        raise ProviderError(f"{attempt.route.provider.name} sent media that cannot be read.") from None
    left_s = STORE_TIMEOUT_S
    if exchange.worked_from_s is not None:
        left_s = min(left_s, exchange.answer_by_s - world.clock.monotonic_s())
    kept = await keep_made(body, str(entry.get("content_type", "")), attempt, exchange, world, left_s)
    return {**{name: value for name, value in entry.items() if name != "data"}, **kept.told()}


async def _read(entry: Json, where: str, left_bytes: int, exchange: Exchange, world: World) -> Json:
    """`left_bytes`: of base64. What names no file has no bytes: those that a client puts there nobody has looked at."""
    if "data" in entry:
        raise InvalidRequest(
            "Media of an earlier reply come by their file_id; others are parts of a message.", param=f"{where}.data"
        )
    file_id = entry.get("file_id")
    if not isinstance(file_id, str):
        return entry
    assert exchange.principal is not None  # noqa: S101 - it was admitted
    try:
        found = await world.files.get(exchange.principal.tenant.id, file_id, left_bytes * 3 // 4)
    except FileNotFound as error:
        raise MediaNotFound(error.message, param=f"{where}.file_id") from None
    medium = entry.get("type", "image")
    if medium not in GENERATED or not found.content_type.startswith(f"{medium}/"):
        raise InvalidRequest(f"No reply has {found.content_type} as {medium}.", param=f"{where}.file_id")
    return {"type": medium, "content_type": found.content_type, "data": b64encode(found.data).decode()}
