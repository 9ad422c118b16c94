"""An end for work whose length depends on what a client or a model wrote."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

_AGAIN_S = 0.05
"""An exception may be lost where it strikes (in a finalizer, say): then it strikes again."""


class CpuLimitExceeded(Exception):
    """The work was stopped."""


def within_cpu(limit_s: float, work: Callable[[], T]) -> T:
    """What `work` returns. Raises CpuLimitExceeded once it has used so much CPU, ValueError outside the main thread.

    A timer's signal stops what cannot be counted, above all regular expressions, which look for signals as they go:
    https://github.com/python/cpython/blob/main/Modules/_sre/sre_lib.h (MAYBE_CHECK_SIGNALS). Not to be nested.
    """
    is_running = True

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if is_running:
            raise CpuLimitExceeded

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, limit_s, _AGAIN_S)
        try:
            return work()
        finally:
            is_running = False
    finally:  # also when the signal came between the work and the line above
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
