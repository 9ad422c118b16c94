"""Results of a batch at any time, page by page: what has ended since the last page, and nothing twice.

A part's results only ever grow at their end, so where a reader stands is how far he has read each part. A cursor says
that: parts that he has read to their end as stretches, and how many pieces and lines he has of the others.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.model.batch import Batch, BatchPart
from gateway.model.errors import InvalidRequest
from gateway.pipeline.batch_results import ends_of, result_line
from gateway.ports import World

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""After which a page has no further line."""
_Kept = tuple[list[tuple[int, int]], list[tuple[int, int, int]]]


@dataclass(slots=True)
class Cursor:
    """`through`: parts that were read to their end. `at`: pieces and lines that were read of others."""

    through: set[int] = field(default_factory=set)
    at: dict[int, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str | None) -> Cursor:
        """Raises InvalidRequest (400)."""
        if not text:
            return cls()
        try:
            stretches, at = msgspec.msgpack.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Kept)
        except (msgspec.MsgspecError, NotBase64, ValueError):
            raise InvalidRequest("after is no place that a page of results has given.", param="after") from None
        through = {part for first, last in stretches for part in range(first, min(last, 100_000) + 1)}
        return cls(through, {part: (pieces, lines) for part, pieces, lines in at})

    def text(self) -> str:
        kept = ([*_stretches(sorted(self.through))], [(part, *place) for part, place in sorted(self.at.items())])
        return urlsafe_b64encode(msgspec.msgpack.encode(kept)).decode().rstrip("=")


def _stretches(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


@dataclass(slots=True)
class Page:
    """`has_more`: whether there are further lines by now."""

    lines: list[bytes]
    cursor: Cursor
    has_more: bool = False
    size_bytes: int = 0

    def has_room(self, limit: int) -> bool:
        return len(self.lines) < limit and self.size_bytes < MAX_PAGE_BYTES

    def add(self, line: bytes) -> None:
        self.lines.append(line)
        self.size_bytes += len(line)


async def page_of(batch: Batch, parts: Sequence[BatchPart], cursor: Cursor, limit: int, world: World) -> Page:
    """At most `limit` lines after the cursor. Raises StorageUnavailable (503)."""
    page = Page([], cursor)
    before = [0]
    for group in batch.groups:
        before.append(before[-1] + group.parts)
    for part in parts:
        number = before[part.group] + part.number
        if number not in cursor.through and not await _read(part, number, page, limit, world):
            page.has_more = True
            break
    return page


async def _read(part: BatchPart, number: int, page: Page, limit: int, world: World) -> bool:
    """Whether all that there is of it by now fits."""
    first, skipped = page.cursor.at.get(number, (0, 0))
    for piece in range(first, part.pieces):
        if not page.has_room(limit):
            return False
        for line, end in enumerate(await ends_of(part, piece, world)):
            if line < skipped:
                continue
            if not page.has_room(limit):
                page.cursor.at[number] = (piece, line)
                return False
            page.add(result_line(end))
        skipped = 0
        page.cursor.at[number] = (piece + 1, 0)
    if part.is_done:
        page.cursor.at.pop(number, None)
        page.cursor.through.add(number)
    return True
