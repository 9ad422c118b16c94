"""Which numbers one request counts in: from a principal's limits and budgets to the two accounts it is entered in."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import ClassVar, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gateway.model.ledger import Account, Hold, Kind, Level, Meter, account_id, day_of, minute_of, month_of, suffix
from gateway.model.limits import ALL_MODELS, Allowance, Budget, BudgetWindow, Limits
from gateway.model.tenant import Principal
from gateway.model.unshown import Unshown


class Demand(Unshown, frozen=True):
    """The most one request can use. `model_id`: "provider/model", empty for one that asks no model: nothing of it is
    charged or counted in tokens. `cost_nano_usd`: 0 where no price is known.

    `lease_s`: how long it can run. `is_job`: whether it counts among jobs, and not among requests at once. `parts`: of
    several models, what each of them can use; `adds_up`: whether all of them may, or one of them. `instead`: of other
    models, any of which will do where there is no room for this one. `cost_by_reply`: the most tokens of its reply, and
    what it costs at most with another number of them, in nano-USD; None where no price is known. `of_batch`: whether it
    is of a batch's lines, which count in money alone.
    """

    UNSHOWN: ClassVar = ("cost_by_reply",)

    model_id: str
    tokens: int
    cost_nano_usd: int
    lease_s: float
    is_job: bool = False
    parts: tuple[Demand, ...] = ()
    adds_up: bool = False
    instead: tuple[Demand, ...] = ()
    cost_by_reply: tuple[int, Callable[[int], int]] | None = None
    of_batch: bool = False

    @property
    def any_of(self) -> tuple[Demand, ...]:
        """This one and those instead of it, in the order in which they are tried."""
        return (replace(self, instead=()), *(replace(one, is_job=self.is_job) for one in self.instead))

    def under(self, models: str) -> tuple[int, int]:
        """Tokens and nano-USD of what falls under a rule for these models."""
        if models == ALL_MODELS:
            return self.tokens, self.cost_nano_usd
        parts = [part for part in self.parts or (self,) if fnmatchcase(part.model_id, models)]
        gather = sum if self.adds_up else max
        return gather([0, *(part.tokens for part in parts)]), gather([0, *(part.cost_nano_usd for part in parts)])


def together(demands: Sequence[Demand], *, adds_up: bool) -> Demand:
    """Of several models, under the rules of the first."""
    gather = sum if adds_up else max
    return replace(
        demands[0],
        tokens=gather(demand.tokens for demand in demands),
        cost_nano_usd=gather(demand.cost_nano_usd for demand in demands),
        parts=tuple(demands),
        adds_up=adds_up,
    )


def account_of(level: Level, principal: Principal, demand: Demand, now_s: float, shard: int) -> Account:
    """The record of that shard, with its share of every limit."""
    return account_by(level, principal, rules_for(allowance_of(level, principal), demand), demand, now_s, shard)


def allowance_of(level: Level, principal: Principal) -> Allowance:
    return principal.tenant.full_allowance if level == "tenant" else principal.allowance


def account_by(level: Level, principal: Principal, rules: Rules, demand: Demand, now_s: float, shard: int) -> Account:
    """As `account_of`, under these rules."""
    tenant, user = principal.tenant, principal.user
    shards = tenant.shards if level == "tenant" else user.shards
    meters = _meters(rules, demand, now_s, Share(shards, shard))
    return Account(account_id(level, tenant.id, user.id, shard), level, tuple(meters), shards)


class Rules(NamedTuple):
    """Those of an allowance that a request falls under."""

    limits: Sequence[Limits]
    budgets: Sequence[Budget]

    @property
    def patterns(self) -> list[str]:
        """The one over all models always first."""
        limited, budgeted = [limits.models for limits in self.limits], [budget.models for budget in self.budgets]
        return [*dict.fromkeys([ALL_MODELS, *limited, *budgeted])]


class Share(Struct, frozen=True):
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
    return Rules([*limits_on(allowance, model_id)], [*budgets_on(allowance, model_id)]).patterns


def by_rule(allowance: Allowance, rules: Collection[str], by_model: Mapping[str, int]) -> dict[str, int]:
    """What falls under each of these rules, by their suffixes: nothing where nobody says of which models it is, or
    where all of it falls under the one rule that there is.
    """
    if not by_model or len(rules) < 2:
        return {}
    patterns = {ALL_MODELS, *(limits.models for limits in allowance.limits)}
    patterns |= {budget.models for budget in allowance.budgets}
    return {
        suffix(models): sum(amount for model_id, amount in by_model.items() if fnmatchcase(model_id, models))
        for models in patterns
        if suffix(models) in rules
    }


def rules_for(allowance: Allowance, demand: Demand) -> Rules:
    """Of a batch under those of all its models; of several models that are asked in turn those of the first, for the
    others' are entered when they are. What asks no model is in no budget, whatever pattern that is for.
    """
    asked = [part.model_id for part in demand.parts if demand.of_batch] or [demand.model_id]
    limits = [one for one in allowance.limits if any(fnmatchcase(model_id, one.models) for model_id in asked)]
    budgets = allowance.budgets if demand.model_id else ()
    return Rules(limits, [one for one in budgets if any(fnmatchcase(model_id, one.models) for model_id in asked)])


def limits_on(allowance: Allowance, model_id: str) -> Iterator[Limits]:
    return (limits for limits in allowance.limits if fnmatchcase(model_id, limits.models))


def budgets_on(allowance: Allowance, model_id: str) -> Iterator[Budget]:
    return (budget for budget in allowance.budgets if fnmatchcase(model_id, budget.models))


def budget_meters(allowance: Allowance, hold: Hold, share: Share) -> Iterator[Meter]:
    """The budgets that a hold stands in, as they are set now."""
    for budget in allowance.budgets:
        if suffix(budget.models) in hold.rules:
            yield _shared(_budget_meter(budget, 0, hold.admitted_s), share)


def _meters(rules: Rules, demand: Demand, now_s: float, share: Share) -> Iterator[Meter]:
    limited = {meter.name: meter for meter in _limited(rules, demand, now_s, share)}
    for models in rules.patterns:
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
    _, cost_nano_usd = demand.under(models)
    for window in (day_of(now_s), month_of(now_s)):
        yield Meter(f"c{window}{suffix(models)}", "spend", cost_nano_usd, models=models)


def _limited(rules: Rules, demand: Demand, now_s: float, share: Share) -> Iterator[Meter]:
    """Of two rules that limit the same number, the lower."""
    strictest: dict[str, Meter] = {}
    for meter in _by_rules(rules, demand, now_s):
        known = strictest.get(meter.name)
        if known is None or (known.limit or 0) > (meter.limit or 0):
            strictest[meter.name] = meter
    for meter in strictest.values():
        yield _shared(meter, share)


def _shared(meter: Meter, share: Share) -> Meter:
    return replace(meter, limit=share.of(meter.limit), whole=meter.limit)


def _by_rules(rules: Rules, demand: Demand, now_s: float) -> Iterator[Meter]:
    minute = minute_of(now_s)
    minute_ends_s = (minute + 1) * 60
    for limits in () if demand.of_batch else rules.limits:
        rule = suffix(limits.models)

        def meter(name: str, kind: Kind, amount: int, limit: int, ends_s: int | None, limits: Limits = limits) -> Meter:
            return Meter(name, kind, amount, limit, limits.models, ends_s)

        if limits.requests_per_minute is not None:
            yield meter(f"r{minute}{rule}", "requests", 1, limits.requests_per_minute, minute_ends_s)
        if limits.tokens_per_minute is not None and demand.model_id:
            tokens, _ = demand.under(limits.models)
            yield meter(f"t{minute}{rule}", "tokens", tokens, limits.tokens_per_minute, minute_ends_s)
        if limits.concurrent_requests is not None and not demand.is_job:
            yield meter(f"n{rule}", "concurrent", 1, limits.concurrent_requests, None)
        if limits.concurrent_jobs is not None and demand.is_job:
            yield meter(f"j{rule}", "jobs", 1, limits.concurrent_jobs, None)
        if (burst := limits.burst) is not None:
            number = int(now_s) // burst.seconds
            name, ends_s = f"b{burst.seconds}.{number}{rule}", (number + 1) * burst.seconds
            yield meter(name, "burst", 1, burst.requests, ends_s)
    for budget in rules.budgets:
        _, cost_nano_usd = demand.under(budget.models)
        yield _budget_meter(budget, cost_nano_usd, now_s)


def _budget_meter(budget: Budget, amount: int, now_s: float) -> Meter:
    name = f"c{(day_of if budget.window == 'day' else month_of)(now_s)}{suffix(budget.models)}"
    return Meter(name, "spend", amount, budget.nano_usd, budget.models, window_end_s(budget.window, now_s))


def window_end_s(window: BudgetWindow, now_s: float) -> int:
    """Unix seconds of the midnight (UTC) at which a budget starts anew."""
    now = datetime.fromtimestamp(now_s, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = 1 if window == "day" else monthrange(now.year, now.month)[1] - now.day + 1
    return int((midnight + timedelta(days=days)).timestamp())
