"""How well models have answered in the last minutes, by what this environment and the others have counted. Pure.

What is counted is kept by the minute and by its subject: of a model "provider/model", its calls, those that failed,
and how long the others took until their first content, as a histogram.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

from gateway.model.reliability import Health

Numbers: TypeAlias = Mapping[str, int]

WINDOW_MINUTES = 5
"""The running one is among them."""
LEAST_CALLS = 20
DEGRADED_PERCENT, UNHEALTHY_PERCENT = 20, 50
CALLS, FAILURES, STREAMS, WHOLES = "c", "f", "s", "w"
_SECONDS = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 900)
BOUNDS_MS = tuple(int(bound_s * 1000) for bound_s in _SECONDS)


def minute_of(unix_s: float) -> int:
    return int(unix_s // 60)


class Tallies:
    """What this environment has counted and not shared yet, by minute and subject."""

    def __init__(self) -> None:
        self.pending: dict[tuple[int, str], Counter[str]] = {}

    def add(self, now_s: float, subject: str, *numbers: str) -> None:
        """One to each of them."""
        key = int(now_s // 60), subject
        counted = self.pending.get(key)
        if counted is None:
            counted = self.pending[key] = Counter()
        for number in numbers:
            counted[number] += 1

    def taken(self) -> dict[tuple[int, str], Counter[str]]:
        taken, self.pending = self.pending, {}
        return taken


class Windows:
    """`now_s`: Unix seconds. `slow_ms`: a model is degraded that takes longer to begin most of its streams."""

    def __init__(self, tallies: Tallies, now_s: Callable[[], float], slow_ms: int) -> None:
        self._tallies, self._now_s, self._slow_ms = tallies, now_s, slow_ms
        self._shared: dict[int, dict[str, Counter[str]]] = {}

    def note(self, subject: str, first_ms: float | None, *, is_stream: bool) -> None:
        """One call. `first_ms`: until its first content, of a whole answer until that; None of one that failed."""
        numbers = [CALLS]
        if first_ms is None:
            numbers.append(FAILURES)
        else:
            numbers.append(f"{STREAMS if is_stream else WHOLES}{bisect_left(BOUNDS_MS, first_ms)}")
        self._tallies.add(self._now_s(), subject, *numbers)

    def learn(self, minute: int, counted: Mapping[str, Numbers]) -> None:
        """All that was counted in that minute and shared, by subject."""
        self._shared[minute] = {subject: Counter(numbers) for subject, numbers in counted.items()}
        oldest = minute_of(self._now_s()) - WINDOW_MINUTES
        for old in [each for each in self._shared if each <= oldest]:
            del self._shared[old]

    def keep(self, minute: int, subject: str, counted: Numbers) -> None:
        """What this environment has just shared, until it is learned with all the rest."""
        self._shared.setdefault(minute, {}).setdefault(subject, Counter()).update(counted)

    def shared(self, minute: int) -> Mapping[str, Numbers]:
        return self._shared.get(minute, {})

    def of(self, provider: str, model: str) -> Health:
        counted = self._sum(f"{provider}/{model}")
        if counted[CALLS] < LEAST_CALLS:
            return "healthy"
        failed_percent = 100 * counted[FAILURES] / counted[CALLS]
        if failed_percent >= UNHEALTHY_PERCENT:
            return "unhealthy"
        return "degraded" if failed_percent >= DEGRADED_PERCENT or self._is_slow(counted) else "healthy"

    def p95_ms(self, provider: str, model: str) -> int | None:
        """Of streams, where there were any; else of whole answers. The upper bound of the histogram's step."""
        counted = self._sum(f"{provider}/{model}")
        return _p95_ms(_steps(counted, STREAMS)) or _p95_ms(_steps(counted, WHOLES))

    def _is_slow(self, counted: Numbers) -> bool:
        """By its streams alone: how long a whole answer takes depends on how long it is."""
        streams = _steps(counted, STREAMS)
        return sum(streams) >= LEAST_CALLS and (_p95_ms(streams) or 0) > self._slow_ms

    def _sum(self, subject: str) -> Counter[str]:
        total: Counter[str] = Counter()
        now = minute_of(self._now_s())
        for minute in range(now - WINDOW_MINUTES + 1, now + 1):
            total.update(self._shared.get(minute, {}).get(subject, {}))
            total.update(self._tallies.pending.get((minute, subject), {}))
        return total


def _steps(counted: Numbers, kind: str) -> list[int]:
    return [counted.get(f"{kind}{step}", 0) for step in range(len(BOUNDS_MS) + 1)]


def _p95_ms(steps: list[int]) -> int | None:
    wanted, seen = 0.95 * sum(steps), 0
    for step, count in enumerate(steps):
        seen += count
        if seen and seen >= wanted:
            return BOUNDS_MS[min(step, len(BOUNDS_MS) - 1)]
    return None
