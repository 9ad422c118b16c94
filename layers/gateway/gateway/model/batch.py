"""A batch: many requests that nobody waits for, carried out part by part.

Its record is a `Job`, among whose facts the batch stands. What changes while it runs stands in its parts, one record
each, of which only one worker at a time is at it:

    asked    lines, from the first on, that may have been asked: said before any of them is
    again    those of them for which their provider had no room and has done nothing: another worker asks again
    pieces   results, each written once and for all: whoever finds a line asked and in no piece knows that its worker
             died, and that nobody may ask again
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from gateway.model.job import Job
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.shipment import Crate

Way: TypeAlias = Literal["fan_out", "native"]
Processing: TypeAlias = Literal["auto", "direct"]
"""Whether a line is given to its provider's own batches, where they take it; or each as a request, at once."""
Ending: TypeAlias = Literal["completed", "failed", "cancelled"]
BatchStatus: TypeAlias = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
"""As OpenAI has them: https://platform.openai.com/docs/api-reference/batch/object"""

KIND = "batch"
OPERATION = "batches"
FACT = "batch"
"""The fact of a job's record in which its batch stands."""
KEPT_S = 30 * 24 * 3600
"""How long a batch and its files are kept after its end, as OpenAI keeps them."""

MAX_LINES = 50_000
MAX_BYTES = 200 * 1024 * 1024
MAX_LINE_BYTES = 6 * 1024 * 1024
"""What a request may be."""
MAX_MODELS = 50
"""Each counts once with each of its endpoints, whatever its lines' ways."""
MAX_ERRORS = 1_000
"""That are listed; nothing is read after so many."""
PART_LINES = 50
PART_BYTES = 4 * 1024 * 1024


class BatchGroup(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All lines for one endpoint and one model that are carried out one way. `model`: "provider/model".
    `held_nano_usd`: the most they can cost. `api`: that they have in the provider's own batches, of a native group.
    """

    endpoint: str
    model: str
    parts: int
    lines: int
    held_nano_usd: int
    way: Way = "fan_out"
    api: str = ""


class BatchTotals(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of lines that have ended. `expired`: of those that failed, the ones that nobody asked in time. `held_nano_usd`:
    what they could have cost. `unpriced`: how many have no known cost. `cached_tokens`: of the input,
    `reasoning_tokens`: of the output.
    """

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    held_nano_usd: int = 0
    cost_nano_usd: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: BatchTotals) -> BatchTotals:
        names = self.__struct_fields__
        return BatchTotals(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled


class Batch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`endpoint`: of all lines, None of an order that names one with each. Times in Unix seconds.

    `processing`: as it was ordered. `output_kept_s`: how long its files are. `lines`: how many there are, 0 until they
    were read. `held_from_s`: as of when its budgets are asked. `held`: what was taken from the ledger for its lines, as
    a job's record has it. `cancels`: whether it was told to. `is_expired`: it was not done in time. `errors`: how many
    its lines have, a list of which is stored. `totals`: when it has ended.
    """

    endpoint: str | None = None
    input_file_id: str | None = None
    completion_window: str = "24h"
    metadata: dict[str, str] | None = None
    processing: Processing = "auto"
    output_kept_s: int = KEPT_S
    lines: int = 0
    groups: tuple[BatchGroup, ...] = ()
    held_from_s: int | None = None
    held: dict[str, Any] | None = None
    in_progress_at_s: int | None = None
    finalizing_at_s: int | None = None
    cancelling_at_s: int | None = None
    is_expired: bool = False
    errors: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    totals: BatchTotals | None = None

    @property
    def cancels(self) -> bool:
        return self.cancelling_at_s is not None


def is_batch(job: Job) -> bool:
    return job.operation == OPERATION


def batch_of(job: Job) -> Batch:
    return msgspec.convert(job.facts.get(FACT, {}), Batch)


def with_batch(job: Job, batch: Batch, **changes: Any) -> Job:
    """The job's next revision."""
    return job.changed(facts={**job.facts, FACT: msgspec.to_builtins(batch)}, **changes)


def status_of(job: Job, batch: Batch) -> BatchStatus:
    if job.status in ("completed", "cancelled"):
        return job.status
    if job.status == "failed":
        return "expired" if batch.is_expired else "failed"
    if batch.finalizing_at_s is not None:
        return "finalizing"
    if batch.cancels:
        return "cancelling"
    return "in_progress" if job.status == "running" else "validating"


def request_id_of(batch_id: str, line: int) -> str:
    """Of one line, always the same, and in its first digits unlike all others."""
    return f"req_{hashlib.sha256(f'{batch_id}.{line}'.encode()).hexdigest()[:32]}"


class PartLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line as its part has it. `line`: its number in the input, from 1. `body`: JSON, as it was sent.

    `held_nano_usd`: the most it can cost.
    """

    line: int
    custom_id: str
    held_nano_usd: int
    body: Raw


NO_BODY = Raw(b"null")


class LineEnd(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a line ended, as a piece of results has it. `at`: its place in the part, from 0.

    `status_code`, `body`: the reply, or the object of an error that the request was answered with. `error`: of one that
    was answered with nothing. `told`: what is told of it.
    """

    at: int
    line: int
    custom_id: str
    request_id: str
    ending: Ending
    status_code: int | None = None
    body: Raw = NO_BODY
    error: dict[str, str] | None = None
    totals: BatchTotals = BatchTotals()
    records: tuple[UsageRecord, ...] = ()
    events: tuple[AuditEvent, ...] = ()


class BatchPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`group`, `number`: which one it is. `lines`: how many it has. `crates`: what was packed of it for its provider;
    `is_packed`: nothing more will be. `alive_until_s`: until when its worker is believed to be at it. `worker`: which
    one that is, or was last.
    """

    tenant_id: str
    batch_id: str
    group: int
    number: int
    lines: int
    ends_at_s: int
    revision: int = 0
    asked: int = 0
    again: tuple[int, ...] = ()
    pieces: int = 0
    crates: tuple[Crate, ...] = ()
    is_packed: bool = False
    is_done: bool = False
    totals: BatchTotals = BatchTotals()
    alive_until_s: float = 0
    worker: str | None = None

    @property
    def name(self) -> str:
        return part_name(self.group, self.number)

    def changed(self, **changes: Any) -> BatchPart:
        """The next revision."""
        return msgspec.structs.replace(self, revision=self.revision + 1, **changes)


def part_name(group: int, number: int) -> str:
    """In the order of groups and parts."""
    return f"{group:03}-{number:05}"


class BatchError(Struct, frozen=True, kw_only=True):
    """What is wrong with a line, None of the batch as a whole. `param`: the member of the line, or of its body."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


_encoder = msgspec.json.Encoder()
_PART_LINES = msgspec.json.Decoder(PartLine)
_LINE_ENDS = msgspec.json.Decoder(LineEnd)


def encoded_lines(lines: list[Any]) -> bytes:
    """JSONL."""
    return _encoder.encode_lines(lines)


def part_lines(data: bytes) -> list[PartLine]:
    return _PART_LINES.decode_lines(data)


def line_ends(data: bytes) -> list[LineEnd]:
    return _LINE_ENDS.decode_lines(data)
