"""What the client of a session says, read from its log in the order in which API Gateway took it."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import groupby

import msgspec

from gateway.model.errors import StorageUnavailable
from gateway.model.realtime_session import Frame, Snapshot, first_name_at
from gateway.ports import Clock
from gateway.realtime_ports import Frames

REMEMBERED, HANDED_OVER = 2_048, 128
"""Ids of messages: one that was written again comes again within seconds."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0)
"""Until what was said is read again, while it cannot be."""
_FIRST = ("session.update", "conversation.item.create", "input_audio_buffer.append", "input_audio_buffer.commit")
_ORDER = {kind: place for place, kind in enumerate(_FIRST)}
"""Of messages that were taken in the same millisecond, whose order nobody knows: what they ask for makes most sense so.
"""


class _Kind(msgspec.Struct):
    type: str = ""


_kind = msgspec.json.Decoder(_Kind)


class Incoming:
    """`cursor`: the name of the last frame that was given, and dealt with. `heard_s`: when the client last said
    something, in Unix seconds. `late`: frames that were given after later ones.
    """

    def __init__(self, connection_id: str, frames: Frames, window_ms: int, clock: Clock, heard_s: float) -> None:
        self._connection_id, self._frames, self._window_ms, self._clock = connection_id, frames, window_ms, clock
        self._recent: deque[str] = deque(maxlen=REMEMBERED)
        self.cursor = ""
        self.heard_s = heard_s

    @property
    def recent(self) -> tuple[str, ...]:
        return tuple(self._recent)[-HANDED_OVER:]

    def go_on_from(self, snapshot: Snapshot) -> None:
        self.cursor = snapshot.cursor
        self._recent = deque(snapshot.recent, maxlen=REMEMBERED)

    async def said_between(self, after: str, until: str) -> list[Frame]:
        """What was given already. Raises StorageUnavailable (503)."""
        found: list[Frame] = []
        end = f"{until}\x00"
        while read := await self._read_again(found[-1].name if found else after, end):
            found += read
        return found

    async def _read_again(self, after: str, end: str) -> list[Frame]:
        for pause_s in PAUSES_S:
            with suppress(StorageUnavailable):
                return await self._frames.between(self._connection_id, after, end)
            await self._clock.sleep(pause_s)
        return await self._frames.between(self._connection_id, after, end)

    async def due(self) -> list[Frame]:
        """What comes next, once nothing can come before it any more. Raises StorageUnavailable (503)."""
        before_ms = int(self._clock.now_s() * 1000) - self._window_ms
        read = await self._frames.between(self._connection_id, self.cursor, first_name_at(before_ms))
        first = {frame.id: frame for frame in reversed(read)}
        return [
            frame
            for group in _by_time(read)
            for frame in group
            if frame.id not in self._recent and first[frame.id] is frame
        ]

    def dealt_with(self, frame: Frame) -> None:
        self._recent.append(frame.id)
        self.cursor = max(self.cursor, frame.name)
        self.heard_s = max(self.heard_s, frame.at_ms / 1000)


def _by_time(frames: list[Frame]) -> list[list[Frame]]:
    groups = [list(group) for _, group in groupby(frames, key=lambda frame: frame.at_ms)]
    return [group if len(group) == 1 else sorted(group, key=_place) for group in groups]


def _place(frame: Frame) -> int:
    try:
        return _ORDER.get(_kind.decode(frame.body).type, len(_ORDER))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return len(_ORDER)
