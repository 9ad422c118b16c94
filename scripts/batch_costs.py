"""What a batch costs on AWS, counted and written into docs/batches.md: `python scripts/batch_costs.py`.

As for jobs: batches of a gateway in memory are carried on by their own state machine, and every call that leaves the
gateway is counted as the requests that its adapter sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import msgspec
from msgspec.structs import replace

from gateway.model.batch import BatchPart
from gateway.model.job import Job
from scripts.job_costs import GETS, ITEM_BYTES, MICRO_USD, PLACE, PUTS, READS, UNIT_BYTES, WRITES, WeighedJobs
from tests.batch_fakes import MemoryBatchParts
from tests.batch_stage import BATCH_PORTS, Stage, chats
from tests.dying import Fate, mortal

PAGE = Path(__file__).parents[1] / "docs" / "batches.md"
READ_UNIT_BYTES = 4_096
BATCH_READS = {**READS, "batch_parts.find": 1}
BATCH_PUTS = (*PUTS, "batch_store.put_lines", "batch_store.put_piece")
BATCH_GETS = (*GETS, "files.stretch", "batch_store.lines", "batch_store.piece")
MORE_PUTS_OF_A_FILE = 2
"""Of one that is put in parts: its beginning and its end."""
STEPS = ("Read and hold", "Carry out the part", "Merge the results", "Settle the bill")
KINDS: dict[str, tuple[tuple[int, str], ...]] = {
    "100 lines of one model": ((100, "openai/gpt"),),
    "1,000 lines of one model": ((1_000, "openai/gpt"),),
    "10,000 lines of one model": ((10_000, "openai/gpt"),),
    "10,000 lines of two models": ((5_000, "openai/gpt"), (5_000, "groq/llama")),
}
QUICK = [*KINDS][:2]
"""Those that take less than a second."""


class WeighedParts(MemoryBatchParts):
    """`written`, `read`: units."""

    def __init__(self) -> None:
        super().__init__()
        self.written = self.read = 0

    async def change(self, record: BatchPart) -> bool:
        self.written += ceil(_size_bytes(record) / UNIT_BYTES)
        return await super().change(record)

    async def all(self, tenant_id: str, batch_id: str) -> list[BatchPart]:
        parts = await super().all(tenant_id, batch_id)
        self.read += ceil(sum(map(_size_bytes, parts)) / READ_UNIT_BYTES)
        return parts


def _size_bytes(record: BatchPart | Job) -> int:
    return len(msgspec.json.encode(record)) + ITEM_BYTES


@dataclass
class Counted:
    """`numbers`: of requests, by the names in MICRO_USD."""

    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def usd(self) -> float:
        return sum(MICRO_USD[name] * number for name, number in self.numbers.items()) / 10**6


async def counted(groups: Sequence[tuple[int, str]]) -> Counted:
    stage, parts = Stage.of(), WeighedParts()
    jobs = WeighedJobs()
    stage.world = replace(stage.world, batch_parts=parts, jobs=jobs)
    stage.fates = {step: Fate() for step in STEPS}
    lines = [line for number, model in groups for line in chats(number, model)]
    named = [{**line, "custom_id": f"line-{number}"} for number, line in enumerate(lines)]
    world, accepting = stage.world, Fate()
    stage.world = mortal(world, accepting, BATCH_PORTS)
    batch_id = await stage.ordered_by_file(named)
    stage.world = world
    assert await stage.carried_on(batch_id) == "Completed"  # noqa: S101 - else there is nothing to count
    fates = (accepting, *stage.fates.values())
    calls = Counter(moment.call for fate in fates for moment in fate.passed if not moment.is_done)
    walk = stage.walk
    assert walk is not None  # noqa: S101 - it was carried on
    return Counted(
        {
            "transitions": walk.transitions,
            "invocations": 1 + len(walk.entered),
            "writes": jobs.units + parts.written + sum(calls[name] for name in WRITES),
            "reads": parts.read + sum(number * calls[name] for name, number in BATCH_READS.items()),
            "puts": sum(calls[name] for name in BATCH_PUTS) + MORE_PUTS_OF_A_FILE * calls["files.put_stream"],
            "gets": sum(calls[name] for name in BATCH_GETS),
            "told": len(stage.told),
        }
    )


def row(name: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()):  # of the functions' own logs
        costs = asyncio.run(counted(KINDS[name]))
    figures = [*(f"{number:,}" for number in costs.numbers.values()), f"{costs.usd:.4f}"]
    return f"| {' | '.join([name, *figures])} |"


def table() -> str:
    requests = ("Lambda calls", "DynamoDB write units", "read units", "S3 writes", "reads", "Events")
    heads = ("", "State transitions", *requests, "USD")
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *map(row, KINDS), ""])


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    PAGE.write_text(PLACE.sub(lambda _: table(), PAGE.read_text()))
