"""Results of a batch as its tenant reads them: merged into files at its end, and line by line at any time before."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.model.batch import Batch, BatchPart, Ending, LineEnd, line_ends
from gateway.model.file import File, new_file_id
from gateway.model.job import Job
from gateway.ports import World

JSONL = "application/jsonl"
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
    for part in parts:
        for piece in range(part.pieces):
            yield b"".join(result_line(end) for end in await ends_of(part, piece, world) if end.ending in endings)


async def ends_of(part: BatchPart, piece: int, world: World) -> list[LineEnd]:
    data = await world.batch_store.piece(part.tenant_id, part.batch_id, part.name, piece)
    return line_ends(data or b"")
