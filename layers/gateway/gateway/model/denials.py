"""How often known callers were refused at the door, so that a flood of them is counted where it would cost to tell."""

from __future__ import annotations

from msgspec import Struct

from gateway.model.ledger import minute_of

AT_MOST = 20
"""Refusals of one key for one reason that an environment tells of in a minute. No limit of the tenant stands before
them, and each that is told costs as much as a request that was answered.
"""
MAX_KEYS = 10_000


class _Count(Struct):
    minute: int
    told: int = 0
    left_out: int = 0


class Denials:
    """Of one environment."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], _Count] = {}

    def enter(self, key_id: str, code: str, now_s: float) -> int | None:
        """None for one that is only counted; else how many were, since the last one of its kind that was told."""
        minute = minute_of(now_s)
        count = self._counts.get((key_id, code))
        if count is None:
            if len(self._counts) >= MAX_KEYS:
                del self._counts[next(iter(self._counts))]
            count = self._counts[key_id, code] = _Count(minute)
        if count.minute != minute:
            count.minute, count.told = minute, 0
        if count.told >= AT_MOST:
            count.left_out += 1
            return None
        count.told += 1
        left_out, count.left_out = count.left_out, 0
        return left_out
