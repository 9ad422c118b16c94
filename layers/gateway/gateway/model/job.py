"""A job: a request that outlives its caller. One record, changed by whoever works on it, each change on the last one.

pending ──> running ──> completed          cancelled is reached from pending and running, and nothing leaves an end:
   └───────────┴──────> failed, cancelled  who comes too late with a result finds that its change does not apply
"""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

from msgspec import Struct, structs

Status: TypeAlias = Literal["pending", "running", "completed", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("completed", "failed", "cancelled")

LONGEST_S = 24 * 3600
"""After which a job that has not ended fails."""
TOMBSTONE_S = 7 * 24 * 3600
"""How long it is remembered that there was a result, after it is gone."""

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TIME_DIGITS, _NOISE_DIGITS = 9, 16
_LAST_MS: int = 32**_TIME_DIGITS - 1
_ID = re.compile(f"[a-z]+_[{_DIGITS}]{{{_TIME_DIGITS + _NOISE_DIGITS}}}")


def new_job_id(now_s: float, noise: bytes, kind: str = "job") -> str:
    """Newer ids sort before older ones. `noise`: 10 random bytes. `kind`: "job", "video", "batch"."""
    return f"{kind}_{_text(_LAST_MS - int(now_s * 1000), _TIME_DIGITS)}{_text(int.from_bytes(noise), _NOISE_DIGITS)}"


def is_job_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _text(number: int, digits: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(digits)))


class RemoteWork(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The provider's side of a job. `sending`: its request is on the way, or nobody knows whether it arrived.

    `id`: how the provider calls it, once it has taken it. `polls`: how often it was asked for.
    `look_at_s`: Unix seconds before which nobody asks the provider: somebody has just done so, or is at it.
    """

    provider: str
    model: str
    sending: bool = False
    id: str | None = None
    state: dict[str, Any] | None = None
    polls: int = 0
    look_at_s: float = 0


class JobResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`body`: the reply as it would have been, when it is small; else it is stored under `key`.

    `files`: what was made for it.
    """

    status: int = 200
    content_type: str = "application/json"
    body: Any = None
    key: str | None = None
    file_id: str | None = None
    files: tuple[str, ...] = ()


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`operation`: "chat", "videos", ... `model`: as asked for. Times in Unix seconds.

    `expires_at_s`: when it fails if it has not ended by then; after its end, when its result is gone.
    `progress`: per cent. `held`: what was taken from the ledger for it, until that is settled.
    `error`: the wire object of an error. `webhook`: where its end is told.
    `facts`: what its record tells besides (`conversation_id`, what was asked for).
    """

    id: str
    tenant_id: str
    user_id: str
    key_id: str
    request_id: str
    endpoint: str
    operation: str
    model: str
    status: Status
    created_at_s: int
    expires_at_s: int
    revision: int = 0
    started_at_s: int | None = None
    finished_at_s: int | None = None
    progress: int | None = None
    held: dict[str, Any] | None = None
    remote: RemoteWork | None = None
    result: JobResult | None = None
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    cost_nano_usd: int | None = None
    webhook: str | None = None
    facts: dict[str, Any] = {}

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def is_gone(self, now_s: float) -> bool:
        """Whether its result has been kept as long as promised."""
        return self.has_ended and now_s >= self.expires_at_s

    def is_forgotten(self, now_s: float) -> bool:
        return self.is_gone(now_s) and now_s >= self.expires_at_s + TOMBSTONE_S

    def changed(self, **changes: Any) -> Job:
        """The next revision."""
        return structs.replace(self, revision=self.revision + 1, **changes)

    def begun(self, now_s: float) -> Job:
        return self.changed(status="running", started_at_s=self.started_at_s or int(now_s))

    def ended(self, status: Status, now_s: float, kept_s: int, **found: Any) -> Job:
        """`found`: result, error, usage, cost."""
        now = int(now_s)
        return self.changed(status=status, finished_at_s=now, expires_at_s=now + kept_s, **found)
