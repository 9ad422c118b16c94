"""JSON lines, of which never more than one is held: https://jsonlines.org/"""

from __future__ import annotations

from collections.abc import Iterator

MAX_LINE_BYTES = 160 * 2**20
"""Of one item; the largest are 2,048 vectors of 3,072 numbers as text."""


class JsonLines:
    """Cuts bytes into lines, wherever they are cut themselves. Blank ones are left out, and those that are too long to
    be held, which are counted: read again they would be no shorter. `too_long`: how many.
    """

    def __init__(self) -> None:
        self.too_long = 0
        self._begun: list[bytes] = []
        self._begun_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        first, *others = data.split(b"\n")
        self._hold(first)
        for other in others:
            yield from self.close()
            self._hold(other)

    def close(self) -> Iterator[bytes]:
        """The last one needs no end."""
        if self._begun_bytes > MAX_LINE_BYTES:
            self.too_long += 1
        line = [b"".join(self._begun).strip()]
        self._begun, self._begun_bytes = [], 0
        if line[0]:
            yield line.pop()  # what is used is held by its user alone

    def _hold(self, data: bytes) -> None:
        self._begun_bytes += len(data)
        if self._begun_bytes <= MAX_LINE_BYTES:
            self._begun.append(data)
        else:
            self._begun = []
