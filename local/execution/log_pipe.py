"""What a runtime process prints, read without ever waiting for a line that may not come.

A process prints before it answers, so at the moment of an answer everything printed is in the pipe already: one
non-blocking read until the pipe is empty has all of it. (MiniStack waits up to 50 ms for a first line instead.)
"""

from __future__ import annotations

import asyncio
import os

_READ_BYTES = 65_536
_KEPT_BYTES = 1024 * 1024


class LogPipe:
    """The read end is followed by the event loop; the write end is for the child process."""

    def __init__(self) -> None:
        self._read_fd, self.write_fd = os.pipe()
        self._buffer = bytearray()
        os.set_blocking(self._read_fd, False)
        asyncio.get_running_loop().add_reader(self._read_fd, self._drain)

    def close_write_end(self) -> None:
        """Only the child may hold it, or the end of the child would not be seen."""
        os.close(self.write_fd)

    def add(self, line: str) -> None:
        """A line that the platform adds to the function's log."""
        self._drain()
        self._buffer += f"{line}\n".encode()

    def text(self) -> str:
        """Everything printed since the last `take`; at most the last MiB."""
        self._drain()
        return self._buffer.decode("utf-8", errors="replace")

    def take(self) -> str:
        """The same, and forget it."""
        text = self.text()
        self._buffer.clear()
        return text

    def close(self) -> None:
        if self._read_fd < 0:
            return
        self._drain()
        if self._read_fd >= 0:
            self._stop()

    def _drain(self) -> None:
        while self._read_fd >= 0:
            try:
                data = os.read(self._read_fd, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._stop()
                return
            self._buffer += data
            del self._buffer[:-_KEPT_BYTES]

    def _stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._read_fd)
        os.close(self._read_fd)
        self._read_fd = -1
