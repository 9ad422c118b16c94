"""What a person at the terminal reads while the stack starts."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Problem(Exception):
    """Something the person at the terminal can mend; the message says what is wrong and what to do."""


class Progress:
    """Lines with the seconds since the start."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def say(self, text: str) -> None:
        sys.stdout.write(f"[{self.elapsed_s:5.1f} s] {text}\n")  # one write: two steps may speak at once
        sys.stdout.flush()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Say `text` now, and how long the block took when it went well."""
        self.say(f"{text} ...")
        before_s = self.elapsed_s
        yield
        self.say(f"{text}: done in {self.elapsed_s - before_s:.1f} s")


def log_tail(path: Path, lines: int = 15) -> str:
    """The end of a log, indented, for a message about what failed."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
