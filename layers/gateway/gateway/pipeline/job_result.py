"""What a job is to answer: the reply its caller would have had, kept beside its record, never in it."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import msgspec

from gateway.model.errors import StorageUnavailable
from gateway.model.file import File, Origin, created_at_s, new_file_id
from gateway.model.job import JobResult
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.job_record import WORK_S
from gateway.pipeline.transcription import WrittenText
from gateway.ports import World

MAX_INLINE_BYTES = 64 * 1024
"""What is read for its tenant with the job itself."""
PAUSES_S = (0.5, 2.0)
"""Between tries to keep a reply, which is paid: nobody waits for it."""
_JSON = "application/json"


async def kept_result(outcome: Any, exchange: Exchange, world: World) -> JobResult:
    """A large one goes into the tenant's files, for as long as a small one is kept, which lies beside the record.

    Raises StorageUnavailable (503): then the reply is lost, and paid.
    """
    content_type = outcome.content_type if isinstance(outcome, WrittenText) else _JSON
    body = outcome.text.encode() if isinstance(outcome, WrittenText) else msgspec.json.encode(outcome)
    if len(body) > MAX_INLINE_BYTES:
        file = await _stored(body, content_type, exchange, world)
        return JobResult(content_type=content_type, file_id=file.id, files=(file.id,))
    return JobResult(content_type=content_type, key=await _beside(body, exchange, world))


async def _beside(body: bytes, exchange: Exchange, world: World) -> str:
    assert exchange.job is not None  # noqa: S101 - it runs here
    for pause_s in PAUSES_S:
        try:
            return await world.payloads.keep_reply(exchange.job.now, body)
        except StorageUnavailable:
            await world.clock.sleep(pause_s)
    return await world.payloads.keep_reply(exchange.job.now, body)


async def _stored(body: bytes, content_type: str, exchange: Exchange, world: World) -> File:
    assert exchange.principal is not None  # noqa: S101 - a job is somebody's
    file_id = new_file_id("generated", world.clock.now_s(), secrets.token_bytes(10))
    ending = "json" if content_type == _JSON else "txt"
    file = File(
        file_id,
        f"result_{file_id[-8:]}.{ending}",
        content_type,
        len(body),
        created_at_s(file_id) + world.job_kept_s + WORK_S,  # its job may end so much later
        origin=Origin(exchange.model_requested or "", exchange.request_id),
    )
    try:
        async with asyncio.timeout(exchange.answer_by_s - world.clock.monotonic_s()):
            await world.files.put(exchange.principal.tenant.id, file, body)
    except TimeoutError as error:
        raise StorageUnavailable("The reply could not be stored in time.") from error
    exchange.made.append(file.id)
    return file
