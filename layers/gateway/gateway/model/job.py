"""A job: a request that outlives its caller. One record, changed by whoever works on it, each change on the last one.

pending ──> running ──> completed          cancelled is reached from pending and running, and nothing leaves an end:
   └───────────┴──────> failed, cancelled  who comes too late with a result finds that its change does not apply
"""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

from msgspec import Struct, structs

from gateway.model.limits import Pattern
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.tenant import Scope
from gateway.model.webhook import Webhook

Status: TypeAlias = Literal["pending", "running", "completed", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("completed", "failed", "cancelled")

LONGEST_S = 24 * 3600
"""After which a job that has not ended fails."""
KEPT_S = 24 * 3600
"""How long a result is kept where nothing else is set."""
TOMBSTONE_S = 7 * 24 * 3600
"""How long it is remembered that there was a result, after it is gone."""

UNTOLD_S = 3600
"""How long a settled job stays of which its tenant was never told: longer than anybody can be at it."""
HIDDEN = "hidden"
"""The fact of a job of which its tenant was not told yet."""

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TIME_DIGITS, _NOISE_DIGITS = 9, 16
_LAST_MS: int = 32**_TIME_DIGITS - 1
_ID = re.compile(f"[a-z]+_[{_DIGITS}]{{{_TIME_DIGITS + _NOISE_DIGITS}}}")


def new_job_id(now_s: float, noise: bytes, kind: str = "job") -> str:
    """Newer ids sort before older ones. `noise`: 10 random bytes. `kind`: "job", "video", "batch"."""
    return f"{kind}_{_text(_LAST_MS - int(now_s * 1000), _TIME_DIGITS)}{_text(int.from_bytes(noise), _NOISE_DIGITS)}"


def made_at_s(job_id: str) -> float:
    """Unix seconds, to the millisecond."""
    return (_LAST_MS - int(age_of(job_id)[:_TIME_DIGITS], 32)) / 1000


def oldest_id(since_s: float, kind: str) -> str:
    """After all ids of that kind that were made since, and before older ones."""
    return f"{kind}_{_text(_LAST_MS - int(since_s * 1000), _TIME_DIGITS)}~"


def age_of(job_id: str) -> str:
    """By which ids of all kinds sort from new to old."""
    return job_id.partition("_")[2]


def is_job_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _text(number: int, digits: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(digits)))


class RemoteWork(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The provider's side of a job.

    `id`: how the provider calls it, once it has taken it. `polls`: how often it was asked for.
    `look_at_s`: Unix seconds before which nobody asks the provider: somebody has just done so, or is at it.
    `own_key`: whether it was begun with the tenant's own key, which alone it answers to. `taken_ms`: how long it took
    until it had taken it.
    """

    provider: str
    model: str
    id: str | None = None
    state: dict[str, Any] | None = None
    polls: int = 0
    look_at_s: float = 0
    own_key: bool = False
    taken_ms: float | None = None


class JobRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to read the request's body again, which is kept apart from the record and dropped at the job's end.

    `scopes`, `models`: what the key that brought it may be used for; the key itself is nowhere. `key_hash`: by which it
    is found again, None of a token.
    """

    content_type: str
    key_hash: str | None = None
    scopes: tuple[Scope, ...] = ("*",)
    models: tuple[Pattern, ...] = ("*",)


class Owed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has yet to be told of a job that has ended, and to be settled for it."""

    records: tuple[UsageRecord, ...] = ()
    events: tuple[AuditEvent, ...] = ()
    cost_nano_usd: int = 0
    tokens: int = 0
    was_executed: bool = True


class JobResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`key`: where the reply's body is stored, when it is small; else it is the tenant's file `file_id`.

    `body`: facts of a video's file. `files`: what was made for it.
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
    `request`: None for one whose provider was asked before there was a record. `is_asked`: whether a provider was
    asked, or may have been: then nobody asks again, for it may have been paid. `alive_until_s`: until when its worker
    is believed to be at it. `worker`: which one that is, or was last.
    `error`: the wire object of an error. `owed`: None when nothing is. `webhook`: where its end is told,
    and whether it is.
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
    request: JobRequest | None = None
    is_asked: bool = False
    alive_until_s: float = 0
    worker: str | None = None
    remote: RemoteWork | None = None
    result: JobResult | None = None
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    cost_nano_usd: int | None = None
    owed: Owed | None = None
    webhook: Webhook | None = None
    facts: dict[str, Any] = {}

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def is_begun(self) -> bool:
        """Whether a provider has an id for it, by which it is asked for."""
        return self.remote is not None and self.remote.id is not None

    @property
    def is_hidden(self) -> bool:
        """Whether its tenant was not told of it: a request waits for it."""
        return HIDDEN in self.facts

    @property
    def is_to_be_told(self) -> bool:
        """Whether somebody waits to be told of its end, or will."""
        return self.webhook is not None and self.webhook.url is not None

    @property
    def is_watched(self) -> bool:
        """Whether the worker that asked has yet to say what that has cost: the job was cancelled meanwhile."""
        return self.has_ended and self.is_asked and self.owed is None and self.held is not None

    def is_gone(self, now_s: float) -> bool:
        """Whether its result has been kept as long as promised."""
        return self.has_ended and now_s >= self.expires_at_s

    @property
    def removable_at_s(self) -> int:
        """When its record is good for nothing any more, as far as is known."""
        is_done = self.has_ended and self.held is None and self.owed is None and self.result is None
        if self.is_hidden and is_done and self.finished_at_s is not None:
            return self.finished_at_s + UNTOLD_S
        return self.expires_at_s + TOMBSTONE_S

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
