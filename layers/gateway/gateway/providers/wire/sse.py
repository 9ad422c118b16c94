"""Server-sent events from bytes that may be cut anywhere.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.model.provider_errors import ProviderError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

MAX_EVENT_BYTES = 64 * 1024 * 1024


class Event(NamedTuple):
    """`name` is empty when the event has no `event:` line. `data`: its `data:` lines joined by a newline."""

    name: str
    data: bytes


class SseDecoder:
    """Feed it bytes, get whole events, never a cut one. Comments, ids and retry hints are dropped."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._name = ""
        self._data: list[bytes] = []
        self._held_bytes = 0
        self._started = self._after_cr = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes. Raises ProviderError (502) for one of more than MAX_EVENT_BYTES."""
        if self._after_cr and data:  # the second half of CR LF
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data:
            self._rest.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > MAX_EVENT_BYTES:
                raise ProviderError("The provider sent an event without end.")
        if b"\n" not in data and b"\r" not in data:  # a long line is put together once, not with every piece
            return
        self._after_cr = data.endswith(b"\r")
        text = b"".join(self._rest)
        if not self._started:
            self._started = True
            text = text.removeprefix(BYTE_ORDER_MARK)
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = [rest] if rest else []
        self._held_bytes = len(rest) + sum(map(len, self._data))
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                yield Event(self._name, b"\n".join(self._data))
                self._name, self._data = "", []
            else:
                self._name = ""

    @property
    def pending(self) -> bool:
        """Whether an event has begun and its end has not come."""
        return bool(self._rest or self._data)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
