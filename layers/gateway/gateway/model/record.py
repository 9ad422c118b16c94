"""What is told of a request when it has ended: usage for the books, audit events for compliance. Never content.

Each has an id that is the same however often it is told, by which whoever keeps it knows what he has already.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from gateway.model.usage import TokenUsage

Outcome: TypeAlias = Literal["ok", "error", "refused", "lost"]


class Attribution(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose a request was. `operation`: "chat", "embeddings", ... `conversation_id`: as the client named it.

    `trace_id`: as W3C's Trace Context has it.
    """

    request_id: str
    tenant_id: str
    user_id: str
    key_id: str
    operation: str
    conversation_id: str | None = None
    trace_id: str | None = None
    job_id: str | None = None
    batch_id: str | None = None


class UsageRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call to a provider, or a request that came to none (attempt 0).

    `at_s`: Unix seconds of its end. `outcome`: "refused" came to no provider, "lost" died with its function, so that
    all it could have cost is taken for its cost. `units`: what is not counted in tokens (images, characters, seconds,
    searches). `service_tier`: as the provider names the one that served it. `priced_as_default`: what that tier costs
    is unknown, so the plain price was taken.
    `cost_nano_usd`: None when the price is unknown. `overhead_ms`, `queue_ms`: of the whole request, with its last
    attempt only; the second of a job.
    `unbooked`: numbers to add by account, for the ledger could not be asked: in the same step as the record is counted.
    """

    of: Attribution
    attempt: int
    at_s: float
    outcome: Outcome
    code: str | None = None
    provider: str | None = None
    model: str | None = None
    model_requested: str | None = None
    stream: bool = False
    usage: TokenUsage | None = None
    units: dict[str, int] = field(default_factory=dict)
    service_tier: str | None = None
    priced_as_default: bool = False
    cost_nano_usd: int | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    overhead_ms: float | None = None
    queue_ms: float | None = None
    unbooked: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.of.request_id}.{self.attempt}"

    @property
    def is_lost_without_trace(self) -> bool:
        """Whether nobody knows whom its request had asked when it was lost: any model that it was held for."""
        return self.outcome == "lost" and not self.attempt


AuditName: TypeAlias = Literal[
    "request.started", "request.completed", "request.failed", "request.blocked", "fallback.triggered"
]
TERMINAL: tuple[AuditName, ...] = ("request.completed", "request.failed", "request.blocked")


class AuditEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a request, or that an administrator did (`event` "admin.…"; `actor` says who).

    `id`: "<request id>.started", "<request id>.ended", "<request id>.fallback.<n>"; one end for each start.
    `facts`: what there is to tell beyond that: status, code, tokens, cost, the hook and its reason, from and to.
    """

    id: str
    event: str
    at_s: float
    tenant_id: str | None = None
    of: Attribution | None = None
    actor: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class BudgetAlert(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """So much of a budget is spent. `id` is one for each budget, window and percentage."""

    id: str
    at_s: float
    tenant_id: str
    level: str
    user_id: str | None
    window: str
    models: str
    percent: int
    limit_nano_usd: int
    spent_nano_usd: int


class Watermark(Struct, frozen=True, kw_only=True):
    """Goes the way of everything that is told, and says nothing but: what was told before `at_s` has come through.

    As a rule, for queues overtake; whoever concludes anything from it leaves minutes of room.
    """

    id: str
    at_s: float


Told: TypeAlias = UsageRecord | AuditEvent | BudgetAlert | Watermark
