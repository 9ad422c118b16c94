"""What was told is kept: archived first, then counted once or written to the audit log once.

It comes at least once and in any order. The archive takes it as often as it comes, for a line too many can be told by
its id and a lost one by nothing; what is counted and logged goes by that id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from msgspec import Struct

from gateway.model.errors import StorageUnavailable
from gateway.model.record import AuditEvent, Told, UsageRecord, Watermark
from gateway.pipeline.archive_lines import Line, line_of
from gateway.record_ports import RecordsWorld


class Letter(Struct, frozen=True):
    """`message_id`: under which it is acknowledged, or asked for again."""

    message_id: str
    told: Told


class Kept(Struct, frozen=True):
    """`again`: messages that have to come again. Numbers of records and events, not of messages."""

    again: set[str]
    counted: int
    known: int
    late: int
    logged: int


async def keep(letters: Sequence[Letter], world: RecordsWorld) -> Kept:
    """Never raises for what cannot be kept now: it is asked for again."""
    again = await _archive(letters, world)
    stored = [letter for letter in letters if letter.message_id not in again]
    counting, logging = await asyncio.gather(_count(stored, world), _log(stored, world))
    kept = Kept(again | counting.again | logging.again, counting.counted, counting.known, counting.late, logging.logged)
    if not kept.again:
        await _pass_watermark(letters, kept, world)
    return kept


async def _archive(letters: Sequence[Letter], world: RecordsWorld) -> set[str]:
    """Messages that could not be stored."""
    places: dict[tuple[str, str], list[tuple[Letter, Line]]] = {}
    for letter in letters:
        if not isinstance(letter.told, Watermark):
            line = line_of(letter.told)
            places.setdefault((line.folder, line.day), []).append((letter, line))

    async def store(place: tuple[str, str], held: list[tuple[Letter, Line]]) -> set[str]:
        try:
            await world.archive.store(*place, [line.members for _, line in held])
        except StorageUnavailable as error:
            world.records.trouble("records.not_archived", place=place, lines=len(held), reason=error.message)
            return {letter.message_id for letter, _ in held}
        return set()

    return set().union(*await asyncio.gather(*(store(place, held) for place, held in places.items())))


async def _count(letters: Sequence[Letter], world: RecordsWorld) -> Kept:
    records = [letter.told for letter in letters if isinstance(letter.told, UsageRecord)]
    added = await world.usage.add(records)
    for record in added.late:
        world.records.trouble("records.late", id=record.id, outcome=record.outcome, cost_nano_usd=record.cost_nano_usd)
    if added.failed:
        world.records.trouble("records.not_counted", records=len(added.failed))
    failed = {record.id for record in added.failed}
    return Kept(_messages_of(failed, letters), len(added.counted), len(added.known), len(added.late), 0)


async def _log(letters: Sequence[Letter], world: RecordsWorld) -> Kept:
    events = {letter.told.id: letter.told for letter in reversed(letters) if isinstance(letter.told, AuditEvent)}
    if not events:
        return Kept(set(), 0, 0, 0, 0)
    try:
        unwritten = await world.audit_log.unwritten(events)
        fresh = sorted((events[each] for each in unwritten), key=lambda event: event.at_s)
        if fresh:
            await world.audit_log.write(fresh)
    except StorageUnavailable as error:
        world.records.trouble("records.not_logged", events=len(events), reason=error.message)
        return Kept(_messages_of(events, letters), 0, 0, 0, 0)
    return Kept(set(), 0, 0, 0, len(fresh))


async def _pass_watermark(letters: Sequence[Letter], kept: Kept, world: RecordsWorld) -> None:
    marks = [letter for letter in letters if isinstance(letter.told, Watermark)]
    if not marks:
        return
    try:
        await world.usage.pass_watermark(max(letter.told.at_s for letter in marks))
    except StorageUnavailable:
        kept.again.update(letter.message_id for letter in marks)


def _messages_of(ids: Iterable[str], letters: Sequence[Letter]) -> set[str]:
    wanted = set(ids)
    return {letter.message_id for letter in letters if letter.told.id in wanted}
