"""What a job is to answer, as its record keeps it: the reply its caller would have had, small ones in the record."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import msgspec

from gateway.model.errors import StorageUnavailable
from gateway.model.file import File, Origin, created_at_s, new_file_id
from gateway.model.job import KEPT_S, JobResult
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.job_record import WORK_S
from gateway.pipeline.transcription import WrittenText
from gateway.ports import World

MAX_INLINE_BYTES = 64 * 1024
"""A record has 400 KB, and a list of jobs has many: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
_JSON = "application/json"


async def kept_result(outcome: Any, exchange: Exchange, world: World) -> JobResult:
    """A large one goes into the tenant's files, for as long as a small one is kept.

    Raises StorageUnavailable (503): then the reply is lost, and paid.
    """
    content_type = outcome.content_type if isinstance(outcome, WrittenText) else _JSON
    body = outcome.text.encode() if isinstance(outcome, WrittenText) else msgspec.json.encode(outcome)
    if len(body) > MAX_INLINE_BYTES:
        file = await _stored(body, content_type, exchange, world)
        return JobResult(content_type=content_type, file_id=file.id, files=(file.id,))
    return JobResult(
        content_type=content_type, body=outcome.text if isinstance(outcome, WrittenText) else msgspec.json.decode(body)
    )


async def _stored(body: bytes, content_type: str, exchange: Exchange, world: World) -> File:
    assert exchange.principal is not None  # noqa: S101 - a job is somebody's
    file_id = new_file_id("generated", world.clock.now_s(), secrets.token_bytes(10))
    ending = "json" if content_type == _JSON else "txt"
    file = File(
        file_id,
        f"result_{file_id[-8:]}.{ending}",
        content_type,
        len(body),
        created_at_s(file_id) + KEPT_S + WORK_S,  # its job may end so much later
        origin=Origin(exchange.model_requested or "", exchange.request_id),
    )
    try:
        async with asyncio.timeout(exchange.answer_by_s - world.clock.monotonic_s()):
            await world.files.put(exchange.principal.tenant.id, file, body)
    except TimeoutError as error:
        raise StorageUnavailable("The reply could not be stored in time.") from error
    exchange.made.append(file.id)
    return file
