"""Which numbers one request counts in: from a principal's limits and budgets to the two accounts it is entered in."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from gateway.model.ledger import Account, Hold, Kind, Level, Meter, account_id, day_of, minute_of, month_of, suffix
from gateway.model.limits import ALL_MODELS, Allowance, Budget, BudgetWindow, Limits
from gateway.model.tenant import Principal


@dataclass(frozen=True, slots=True)
class Demand:
    """The most one request can use. `model_id`: "provider/model", empty for one that asks no model: nothing of it is
    charged or counted in tokens. `cost_nano_usd`: 0 where no price is known.

    `lease_s`: how long it can run. `is_job`: whether it counts among jobs, and not among requests at once. `of_batch`:
    whether it is of a batch's lines, which count in money alone.
    """

    model_id: str
    tokens: int
    cost_nano_usd: int
    lease_s: float
    is_job: bool = False
    of_batch: bool = False


def account_of(level: Level, principal: Principal, demand: Demand, now_s: float, shard: int) -> Account:
    """The record of that shard, with its share of every limit."""
    is_tenant = level == "tenant"
    allowance = principal.tenant.full_allowance if is_tenant else principal.allowance
    shards = principal.tenant.shards if is_tenant else principal.user.shards
    share = Share(shards, shard)
    meters = _meters(allowance, demand, now_s, share)
    return Account(account_id(level, principal.tenant.id, principal.user.id, shard), level, tuple(meters), shards)


@dataclass(frozen=True, slots=True)
class Share:
    """One of `shards` parts of a limit; the first ones take what does not divide."""

    shards: int
    shard: int

    def of(self, limit: int | None) -> int | None:
        return None if limit is None else self.of_amount(limit)

    def of_amount(self, amount: int) -> int:
        whole, rest = divmod(amount, self.shards)
        return whole + (self.shard < rest)


def rules_of(allowance: Allowance, model_id: str) -> list[str]:
    """Patterns that the model falls under, the one over all models always first."""
    limits = [rule.models for rule in limits_on(allowance, model_id)]
    budgets = [rule.models for rule in budgets_on(allowance, model_id)]
    return list(dict.fromkeys([ALL_MODELS, *limits, *budgets]))


def by_rule(allowance: Allowance, by_model: Mapping[str, int]) -> dict[str, int]:
    """What falls under each rule of an allowance, by its suffix; nothing where all of it is of one model."""
    if len(by_model) < 2:
        return {}
    patterns = {ALL_MODELS, *(limits.models for limits in allowance.limits)}
    patterns |= {budget.models for budget in allowance.budgets}
    return {
        suffix(models): sum(amount for model_id, amount in by_model.items() if fnmatchcase(model_id, models))
        for models in patterns
    }


def limits_on(allowance: Allowance, model_id: str) -> Iterator[Limits]:
    return (limits for limits in allowance.limits if fnmatchcase(model_id, limits.models))


def budgets_on(allowance: Allowance, model_id: str) -> Iterator[Budget]:
    return (budget for budget in allowance.budgets if fnmatchcase(model_id, budget.models))


def budget_meters(allowance: Allowance, hold: Hold, share: Share) -> Iterator[Meter]:
    """The budgets that a hold stands in, as they are set now."""
    for budget in allowance.budgets:
        if suffix(budget.models) in hold.rules:
            yield _shared(_budget_meter(budget, 0, hold.admitted_s), share)


def _meters(allowance: Allowance, demand: Demand, now_s: float, share: Share) -> Iterator[Meter]:
    limited = {meter.name: meter for meter in _limited(allowance, demand, now_s, share)}
    for models in rules_of(allowance, demand.model_id):
        for counted in _always_counted(models, demand, now_s):
            limited.setdefault(counted.name, counted)
    return iter(limited.values())


def _always_counted(models: str, demand: Demand, now_s: float) -> Iterator[Meter]:
    """So that a limit that is set later knows what runs already, and a budget what was spent before."""
    if demand.of_batch:
        pass
    elif demand.is_job:
        yield Meter(f"j{suffix(models)}", "jobs", 1, models=models)
    else:
        yield Meter(f"n{suffix(models)}", "concurrent", 1, models=models)
    if not demand.model_id:
        return
    for window in (day_of(now_s), month_of(now_s)):
        yield Meter(f"c{window}{suffix(models)}", "spend", demand.cost_nano_usd, models=models)


def _limited(allowance: Allowance, demand: Demand, now_s: float, share: Share) -> Iterator[Meter]:
    """Of two rules that limit the same number, the lower."""
    strictest: dict[str, Meter] = {}
    for meter in _by_rules(allowance, demand, now_s):
        known = strictest.get(meter.name)
        if known is None or (known.limit or 0) > (meter.limit or 0):
            strictest[meter.name] = meter
    for meter in strictest.values():
        yield _shared(meter, share)


def _shared(meter: Meter, share: Share) -> Meter:
    return replace(meter, limit=share.of(meter.limit), whole=meter.limit)


def _by_rules(allowance: Allowance, demand: Demand, now_s: float) -> Iterator[Meter]:
    minute = minute_of(now_s)
    minute_ends_s = (minute + 1) * 60
    for limits in () if demand.of_batch else limits_on(allowance, demand.model_id):
        rule = suffix(limits.models)

        def meter(name: str, kind: Kind, amount: int, limit: int, ends_s: int | None, limits: Limits = limits) -> Meter:
            return Meter(name, kind, amount, limit, limits.models, ends_s)

        if limits.requests_per_minute is not None:
            yield meter(f"r{minute}{rule}", "requests", 1, limits.requests_per_minute, minute_ends_s)
        if limits.tokens_per_minute is not None and demand.model_id:
            yield meter(f"t{minute}{rule}", "tokens", demand.tokens, limits.tokens_per_minute, minute_ends_s)
        if limits.concurrent_requests is not None and not demand.is_job:
            yield meter(f"n{rule}", "concurrent", 1, limits.concurrent_requests, None)
        if limits.concurrent_jobs is not None and demand.is_job:
            yield meter(f"j{rule}", "jobs", 1, limits.concurrent_jobs, None)
        if (burst := limits.burst) is not None:
            number = int(now_s) // burst.seconds
            name, ends_s = f"b{burst.seconds}.{number}{rule}", (number + 1) * burst.seconds
            yield meter(name, "burst", 1, burst.requests, ends_s)
    for budget in budgets_on(allowance, demand.model_id) if demand.model_id else ():
        yield _budget_meter(budget, demand.cost_nano_usd, now_s)


def _budget_meter(budget: Budget, amount: int, now_s: float) -> Meter:
    name = f"c{(day_of if budget.window == 'day' else month_of)(now_s)}{suffix(budget.models)}"
    return Meter(name, "spend", amount, budget.nano_usd, budget.models, window_end_s(budget.window, now_s))


def window_end_s(window: BudgetWindow, now_s: float) -> int:
    """Unix seconds of the midnight (UTC) at which a budget starts anew."""
    now = datetime.fromtimestamp(now_s, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = 1 if window == "day" else monthrange(now.year, now.month)[1] - now.day + 1
    return int((midnight + timedelta(days=days)).timestamp())
