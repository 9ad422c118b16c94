"""The lines of a batch's input one by one, however large it is: a file is read a stretch at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import Struct

from gateway.file_ports import Files
from gateway.model.batch import MAX_LINE_BYTES, Batch
from gateway.model.job import Job
from gateway.pipeline.batch_order import read_batch_order
from gateway.ports import World

STRETCH_BYTES = 4 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
"""Which some editors and spreadsheets put before a text's first line."""


class InputLine(Struct, frozen=True):
    """`number`: from 1, as an editor counts them. `data`: None of one that is too long to be read."""

    number: int
    data: bytes | None


async def input_lines(job: Job, batch: Batch, world: World) -> AsyncIterator[InputLine]:
    """Without empty ones. Raises StorageUnavailable (503), FileNotFound (404)."""
    if batch.input_file_id is not None:
        async for line in _of_file(job.tenant_id, batch.input_file_id, world.files):
            yield line
        return
    order = read_batch_order("application/json", await world.payloads.get(job))
    for number, request in enumerate(order.requests or (), start=1):
        yield InputLine(number, bytes(request))


async def _of_file(tenant_id: str, file_id: str, files: Files) -> AsyncIterator[InputLine]:
    number, start, left = 0, 0, _Left()
    while True:
        stretch = await files.stretch(tenant_id, file_id, start, STRETCH_BYTES)
        start += len(stretch)
        ended = stretch.split(b"\n")
        rest = ended.pop()
        for data in ended:
            number += 1
            if line := _without_bom(left.ended_by(data), number):
                yield InputLine(number, line.data)
        left.keep(rest)
        if len(stretch) < STRETCH_BYTES:
            break
    if line := _without_bom(left.ended_by(b""), number + 1):
        yield InputLine(number + 1, line.data)


class _Line(Struct):
    data: bytes | None


class _Left:
    """What has come of a line that has not ended; of one that is too long nothing is kept."""

    def __init__(self) -> None:
        self._data, self._is_too_long = bytearray(), False

    def keep(self, data: bytes) -> None:
        if self._is_too_long or len(self._data) + len(data) > MAX_LINE_BYTES:
            self._data, self._is_too_long = bytearray(), True
        else:
            self._data += data

    def ended_by(self, data: bytes) -> _Line | None:
        """None of an empty one."""
        self.keep(data)
        whole, was_too_long = bytes(self._data), self._is_too_long
        self._data, self._is_too_long = bytearray(), False
        if was_too_long:
            return _Line(None)
        return _Line(whole) if whole.strip() else None


def _without_bom(line: _Line | None, number: int) -> _Line | None:
    if number > 1 or line is None or line.data is None:
        return line
    data = line.data.removeprefix(BOM)
    return _Line(data) if data.strip() else None
