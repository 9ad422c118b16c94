"""How fast the client of one connection may speak: many times as fast as anybody talks, and so that recordings may be
sent at once; but each message is a write, and one connection must not use up what all have.

It is counted by whoever holds the session, so that a message costs no read or write more.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.model.realtime_errors import SpokenTooFast
from gateway.model.realtime_session import Frame


class Rate(NamedTuple):
    """`burst`: so much at once."""

    unit: str
    per_s: int
    burst: int


MESSAGES = Rate("messages", 200, 4_000)
"""Four times as many as of 20 ms each in real time; at once 80 s of such, or seven minutes in messages of 100 ms."""
BYTES = Rate("bytes", 1_000_000, 16_000_000)
"""More than that a partition of DynamoDB does not take. As base64 it is sound of 24 kHz, 16 times as fast as in real
time; at once four minutes.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html (2026-11)"""


class Bucket:
    """Full at first; fills by `per_s`, up to `burst`."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left = burst
        self._at_s: float | None = None

    def beyond(self, amount: float, now_s: float) -> float:
        """So much of it was not in it any more."""
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        left = min(self._burst, self._left + passed_s * self._per_s)
        self._at_s = now_s if self._at_s is None else max(self._at_s, now_s)
        self._left = max(0.0, left - amount)
        return max(0.0, amount - left)


class Pace:
    """Of one connection, in one function. By the time at which API Gateway took a message: what waits for a function
    may be read at once.
    """

    def __init__(self) -> None:
        self._messages, self._bytes = Bucket(MESSAGES.per_s, MESSAGES.burst), Bucket(BYTES.per_s, BYTES.burst)

    def keep(self, frame: Frame) -> None:
        """Raises SpokenTooFast (429)."""
        at_s = frame.at_ms / 1000
        for rate, bucket, amount in ((MESSAGES, self._messages, 1), (BYTES, self._bytes, len(frame.body))):
            if bucket.beyond(amount, at_s):
                raise SpokenTooFast(rate.unit, rate.per_s, rate.burst)
