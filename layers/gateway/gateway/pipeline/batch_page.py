"""Results of a batch at any time, page by page: what has ended since the last page, and nothing twice.

A part's results only ever grow at their end, so where a reader stands is how far he has read each part. A cursor says
that: parts that he has read to their end as stretches, and how many pieces and lines he has of the others. It is his
to send back, so it is of use for its own batch alone, and no more work than that has parts.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Annotated
from zlib import crc32

import msgspec
from msgspec import Meta

from gateway.model.batch import Batch, BatchPart, LineEnd, line_ends
from gateway.model.errors import InvalidRequest
from gateway.pipeline.batch_results import pieces_at, result_line
from gateway.ports import World

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""After which a page has no further line."""
_Number = Annotated[int, Meta(ge=0)]
_Kept = tuple[int, list[tuple[_Number, _Number]], list[tuple[_Number, _Number, _Number]]]


class Cursor(msgspec.Struct):
    """`through`: parts that were read to their end. `at`: pieces and lines that were read of others."""

    batch_id: str
    through: set[int] = msgspec.field(default_factory=set)
    at: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, text: str | None, batch_id: str, batch: Batch) -> Cursor:
        """Raises InvalidRequest (400)."""
        if not text:
            return cls(batch_id)
        try:
            mark, stretches, at = msgspec.msgpack.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Kept)
        except (msgspec.MsgspecError, NotBase64, ValueError):
            raise _no_place() from None
        places = [place for stretch in stretches for place in stretch]
        parts = sum(group.parts for group in batch.groups)
        is_short = all(one <= other for one, other in pairwise([*places, parts - 1]))
        if mark != _mark_of(batch_id) or not is_short:
            raise _no_place()
        through = {part for first, last in stretches for part in range(first, last + 1)}
        return cls(batch_id, through, {part: (pieces, lines) for part, pieces, lines in at})

    def text(self) -> str:
        at = [(part, *place) for part, place in sorted(self.at.items())]
        kept = (_mark_of(self.batch_id), [*_stretches(sorted(self.through))], at)
        return urlsafe_b64encode(msgspec.msgpack.encode(kept)).decode().rstrip("=")


def _mark_of(batch_id: str) -> int:
    return crc32(batch_id.encode())


def _no_place() -> InvalidRequest:
    return InvalidRequest("after is no place that a page of this batch's results has given.", param="after")


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


class _Unread(msgspec.Struct, frozen=True):
    """`number`: of the part, among all of the batch. `skipped`: how many of the piece's lines were read."""

    number: int
    part: BatchPart
    piece: int
    skipped: int


class Page(msgspec.Struct):
    """`has_more`: whether there are further lines by now."""

    lines: list[bytes]
    cursor: Cursor
    has_more: bool = False
    size_bytes: int = 0

    def take(self, place: _Unread, ends: Sequence[LineEnd], limit: int) -> None:
        for read, end in enumerate(ends):
            if read < place.skipped:
                continue
            if len(self.lines) >= limit or self.size_bytes >= MAX_PAGE_BYTES:
                self.cursor.at[place.number], self.has_more = (place.piece, read), True
                return
            line = result_line(end)
            self.lines.append(line)
            self.size_bytes += len(line)
        self.cursor.at[place.number] = (place.piece + 1, 0)


async def page_of(batch: Batch, parts: Sequence[BatchPart], cursor: Cursor, limit: int, world: World) -> Page:
    """At most `limit` lines after the cursor. Raises StorageUnavailable (503)."""
    numbered = [*_numbered(batch, parts)]
    page, unread = Page([], cursor), [*_unread(numbered, cursor)]
    async with aclosing(pieces_at([(place.part, place.piece) for place in unread], world)) as pieces:
        for place in unread:
            page.take(place, line_ends(await anext(pieces)), limit)
            if page.has_more:
                break
    for number, part in numbered:
        if part.is_done and cursor.at.get(number) == (part.pieces, 0):
            del cursor.at[number]
            cursor.through.add(number)
    return page


def _numbered(batch: Batch, parts: Sequence[BatchPart]) -> Iterator[tuple[int, BatchPart]]:
    """Each with its number among all of the batch."""
    before = [0]
    for group in batch.groups:
        before.append(before[-1] + group.parts)
    return ((before[part.group] + part.number, part) for part in parts)


def _unread(numbered: Sequence[tuple[int, BatchPart]], cursor: Cursor) -> Iterator[_Unread]:
    for number, part in numbered:
        if number in cursor.through:
            continue
        first, skipped = cursor.at.get(number, (0, 0))
        for piece in range(first, part.pieces):
            yield _Unread(number, part, piece, skipped if piece == first else 0)
