"""A batch's input, checked to its end and split into parts: each of one endpoint, one model and one way."""

from __future__ import annotations

from msgspec import Struct, field

from gateway.model.batch import (
    MAX_ERRORS,
    MAX_LINES,
    MAX_MODELS,
    PART_BYTES,
    PART_LINES,
    Batch,
    BatchError,
    BatchGroup,
    PartLine,
    Way,
    encoded_lines,
    part_name,
)
from gateway.model.errors import AdmissionUnavailable, GatewayError, InvalidRequest, StorageUnavailable
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.pipeline.batch_check import Checked, LineCheck, of_lines
from gateway.pipeline.batch_input import InputLine, input_lines
from gateway.ports import World

BUFFERED_BYTES = 32 * 1024 * 1024
"""Of all parts that are not full yet: then the largest is written as it is."""


class _Group(Struct):
    number: int
    endpoint: str
    model: str
    way: Way
    api: str
    parts: int = 0
    lines: int = 0
    held_nano_usd: int = 0
    waiting: list[PartLine] = field(default_factory=list)
    waiting_bytes: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= PART_LINES or self.waiting_bytes >= PART_BYTES


class SplitInput(Struct, frozen=True):
    """`errors`: of lines, in their order; where there is one nothing is carried out."""

    groups: tuple[BatchGroup, ...]
    lines: int
    errors: list[BatchError]


async def split_input(job: Job, batch: Batch, principal: Principal, world: World) -> SplitInput:
    """Stores the lines of each part. It may be repeated.

    Raises StorageUnavailable and AdmissionUnavailable (503), FileNotFound (404).
    """
    splitting = _Splitting(job, LineCheck(batch.endpoint, of_lines(principal), world, batch.processing), world)
    async for line in input_lines(job, batch, world):
        await splitting.take(line)
        if len(splitting.errors) >= MAX_ERRORS or splitting.lines > MAX_LINES:
            break
    return await splitting.finished()


class _Splitting:
    def __init__(self, job: Job, check: LineCheck, world: World) -> None:
        self._job, self._check, self._world = job, check, world
        self._groups: dict[tuple[str, str, Way, str], _Group] = {}
        self.errors: list[BatchError] = []
        self.lines = 0

    async def take(self, line: InputLine) -> None:
        self.lines += 1
        try:
            if self.lines > MAX_LINES:
                raise InvalidRequest(f"A batch has at most {MAX_LINES} lines.")
            checked = await self._check.checked(line)
            group = self._group_of(checked)
        except (StorageUnavailable, AdmissionUnavailable):
            raise
        except GatewayError as error:
            self.errors.append(BatchError(code=error.code, message=error.message, line=line.number, param=error.param))
            return
        await self._keep(checked.line, group)

    def _group_of(self, checked: Checked) -> _Group:
        key = (checked.endpoint, checked.model, checked.way, checked.api)
        if key not in self._groups:
            models = {(endpoint, model) for endpoint, model, *_ in self._groups}
            if (checked.endpoint, checked.model) not in models and len(models) == MAX_MODELS:
                raise InvalidRequest(f"A batch asks at most {MAX_MODELS} models.", param="body.model")
        return self._groups.setdefault(key, _Group(len(self._groups), *key))

    async def _keep(self, line: PartLine, group: _Group) -> None:
        if self.errors:
            return  # nothing will be carried out
        group.lines += 1
        group.held_nano_usd += line.held_nano_usd
        group.waiting.append(line)
        group.waiting_bytes += len(bytes(line.body))
        if group.is_full:
            await self._write(group)
        elif sum(one.waiting_bytes for one in self._groups.values()) > BUFFERED_BYTES:
            await self._write(max(self._groups.values(), key=lambda one: one.waiting_bytes))

    async def _write(self, group: _Group) -> None:
        name = part_name(group.number, group.parts)
        data = encoded_lines(group.waiting)
        await self._world.batch_store.put_lines(self._job.tenant_id, self._job.id, name, data)
        group.parts += 1
        group.waiting, group.waiting_bytes = [], 0

    async def finished(self) -> SplitInput:
        if not self.lines:
            self.errors.append(BatchError(code="empty_file", message="The input has no lines."))
        if self.errors:
            return SplitInput((), self.lines, self.errors)
        for group in self._groups.values():
            if group.waiting:
                await self._write(group)
        groups = tuple(
            BatchGroup(
                endpoint=group.endpoint,
                model=group.model,
                parts=group.parts,
                lines=group.lines,
                held_nano_usd=group.held_nano_usd,
                way=group.way,
                api=group.api,
            )
            for group in self._groups.values()
        )
        return SplitInput(groups, self.lines, [])
