"""How much somebody may use: rates, requests at once, and money."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from gateway.model.money import NANO_PER_USD

Count = Annotated[int, Meta(ge=1, le=2**53)]
Pattern = Annotated[str, Meta(min_length=1, max_length=256)]
"""Over "provider/model", as in a shell: "*", "openai/*", "anthropic/claude-haiku-*"."""

ALL_MODELS = "*"
BudgetWindow: TypeAlias = Literal["day", "month"]
MAX_USD = Decimal(1_000_000)
MAX_NUMBERS = 72
"""One condition of the ledger has room for so many limits: DynamoDB takes 300 operators in an expression, and each
limit is four. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters"""


class Burst(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most `requests` in each `seconds`, so that a minute's worth does not come at once."""

    requests: Count
    seconds: Annotated[int, Meta(ge=1, le=60)] = 10


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None: no limit. `models`: which models count towards it. Minutes and bursts are fixed windows of the clock.

    `tokens_per_minute` counts prompt and reply: the most it can be while a request runs, what it was from its end on.
    `concurrent_requests`: running at the same time; sessions are requests that run long. `concurrent_jobs`: jobs and
    videos that have not ended, which count among no requests, so that neither takes the other's places.
    """

    models: Pattern = ALL_MODELS
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    concurrent_jobs: Count | None = None
    burst: Burst | None = None


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be spent in each day or month (UTC) on models of that pattern. `usd`: exact, at most nine decimals."""

    window: BudgetWindow
    usd: Decimal
    models: Pattern = ALL_MODELS

    def __post_init__(self) -> None:
        usd = self.usd
        if not usd.is_finite() or not 0 <= usd <= MAX_USD or usd * NANO_PER_USD % 1:
            raise ValueError(f"usd is a number from 0 to {MAX_USD} with at most nine decimals")
        force_setattr(self, "usd", Decimal(f"{usd.normalize():f}"))  # 100, which normalize alone makes 1E+2

    @property
    def nano_usd(self) -> int:
        return int(self.usd * NANO_PER_USD)


class Allowance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it holds at once, at most MAX_NUMBERS in all. `alerts`: percentages of a budget at which an event tells
    that so much is spent.
    """

    limits: Annotated[tuple[Limits, ...], Meta(max_length=16)] = ()
    budgets: Annotated[tuple[Budget, ...], Meta(max_length=16)] = ()
    alerts: Annotated[tuple[Annotated[int, Meta(ge=1, le=100)], ...], Meta(max_length=8)] = (50, 80, 100)

    @property
    def numbers(self) -> int:
        """How many numbers a request may have to stay within, if its model falls under every pattern."""
        names: set[tuple[object, ...]] = {(budget.window, budget.models) for budget in self.budgets}
        for limits in self.limits:
            kinds = ("requests_per_minute", "tokens_per_minute")
            names |= {(kind, limits.models) for kind in kinds if getattr(limits, kind) is not None}
            if limits.concurrent_requests is not None or limits.concurrent_jobs is not None:
                names.add(("at once", limits.models))  # a request is in one of both
            if limits.burst is not None:
                names.add((limits.burst.seconds, limits.models))
        return len(names)
