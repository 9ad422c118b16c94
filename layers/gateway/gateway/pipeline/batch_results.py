"""Results of a batch as its tenant reads them: merged into files at its end, and line by line at any time before."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.model.batch import Batch, BatchPart, Ending, LineEnd, line_ends
from gateway.model.file import File, new_file_id
from gateway.model.job import Job
from gateway.ports import World

JSONL = "application/jsonl"
AHEAD, SMALL_BYTES = 8, 4 * 1024 * 1024
"""Pieces that are read at a time, where the last one was small: they are alike."""
OUTPUT: tuple[Ending, ...] = ("completed",)
ERRORS: tuple[Ending, ...] = ("failed", "cancelled")
_encode = msgspec.json.Encoder().encode


class LineResponse(Struct, kw_only=True):
    status_code: int
    request_id: str
    body: Raw


class ResultLine(Struct, kw_only=True):
    """Source: https://platform.openai.com/docs/api-reference/batch/request-output"""

    id: str
    custom_id: str
    response: LineResponse | None
    error: dict[str, Any] | None


def result_line(end: LineEnd) -> bytes:
    """With its end of line."""
    response = None
    if end.status_code is not None:
        response = LineResponse(status_code=end.status_code, request_id=end.request_id, body=end.body)
    line = ResultLine(id=f"batch_{end.request_id}", custom_id=end.custom_id, response=response, error=end.error)
    return _encode(line) + b"\n"


async def merged(
    job: Job, batch: Batch, parts: Sequence[BatchPart], endings: Collection[Ending], world: World
) -> str | None:
    """The tenant's file of all lines that ended so, which is the same whenever it is made; None where there are none.

    Raises StorageUnavailable (503).
    """
    wanted = [part for part in parts if any(getattr(part.totals, ending) for ending in endings)]
    if not wanted:
        return None
    kind = "output" if "completed" in endings else "error"
    made_at_s = batch.finalizing_at_s or job.created_at_s
    noise = hashlib.sha256(f"{job.id}.{kind}".encode()).digest()[:10]
    file_id = new_file_id("batch_output", made_at_s, noise)
    file = File(file_id, f"{job.id}_{kind}.jsonl", JSONL, 0, made_at_s + batch.output_kept_s)
    await world.files.put_stream(job.tenant_id, file, _lines(wanted, endings, world))
    return file_id


async def _lines(parts: Sequence[BatchPart], endings: Collection[Ending], world: World) -> AsyncIterator[bytes]:
    places = [(part, piece) for part in parts for piece in range(part.pieces)]
    async with aclosing(pieces_at(places, world)) as pieces:
        async for data in pieces:
            yield b"".join(result_line(end) for end in line_ends(data) if end.ending in endings)


async def pieces_at(places: Sequence[tuple[BatchPart, int]], world: World) -> AsyncGenerator[bytes, None]:
    """One after the other, while the next ones are read: each takes a while, and there are thousands.

    Raises StorageUnavailable (503).
    """
    waiting, reading, ahead = iter(places), deque[asyncio.Task[bytes]](), 1
    try:
        while True:
            for part, piece in islice(waiting, max(0, ahead - len(reading))):
                reading.append(asyncio.create_task(_piece(part, piece, world)))
            if not reading:
                return
            data = await reading.popleft()
            ahead = AHEAD if len(data) <= SMALL_BYTES else 1
            yield data
            del data
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _piece(part: BatchPart, piece: int, world: World) -> bytes:
    """Empty where somebody has deleted it: there is nothing to wait for, but its lines are missed."""
    found = await world.batch_store.piece(part.tenant_id, part.batch_id, part.name, piece)
    if found is None:
        world.records.trouble("batch.results_missing", job_id=part.batch_id, place=f"{part.name}/{piece}")
    return found or b""
