"""The books of what is running and what was spent: an account for each tenant and user, numbers in it, holds on them.

An account is one record. Its numbers are named by what they count, the window they count in and the models they count:

    r<minute>        requests admitted in that minute          b<seconds>.<n>   in the n-th stretch of so many seconds
    t<minute>        tokens, as below                          n, j             requests that run now; jobs
    c<day> c<month>  nano-USD committed: settled and held      s<day> s<month>  nano-USD settled
    a<day>.<nano-USD> a<month>.<nano-USD>                      how often it was told that so much is settled

Minutes are counted from 1970; days are 2026-11-29, months 2026-11, both UTC. A rule for some models only adds "/" and a
hash of its pattern. Committed less settled is what running requests hold. A hold stands in the same record as the
numbers it was added to and goes with the very write that corrects them, so each happens exactly once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import msgspec

from gateway.model.limits import ALL_MODELS

Level: TypeAlias = Literal["tenant", "user"]
Kind: TypeAlias = Literal["requests", "burst", "tokens", "concurrent", "jobs", "spend"]

DAY_S = 86_400
DAYS_KEPT = 3
MONTHS_KEPT = 2


class Meter(msgspec.Struct, frozen=True):
    """`amount` is added to the number `name` while the result stays within `limit`; None only counts.

    `models`: the pattern that the rule is for. `ends_s`: Unix seconds at which the window ends, None for none.
    `whole`: the limit over all shards, of which `limit` is this account's share.
    """

    name: str
    kind: Kind
    amount: int
    limit: int | None = None
    models: str = ALL_MODELS
    ends_s: int | None = None
    whole: int | None = None

    def left_of(self, reading: Reading) -> int:
        return max(0, (self.limit or 0) - reading.numbers.get(self.name, 0))

    def refuses(self, value: int) -> bool:
        return self.limit is not None and value + self.amount > self.limit


class Account(msgspec.Struct, frozen=True):
    """`meters`: what one request adds to it. `shards`: over how many accounts whoever asks believes it is spread."""

    id: str
    level: Level
    meters: tuple[Meter, ...]
    shards: int = 1


class Hold(msgspec.Struct, frozen=True, array_like=True):
    """What one request may still use. Short, for every write of an account takes all its holds along.

    `until_s`: when nobody can be working on it any more. `rules`: the suffixes of the numbers it stands in. `costs`:
    what of its cost is held under each of them, in their order; empty where under each all of it is.
    `request`: what is known of the request, for the record of it that another has to write; the user's account only.
    `admission`: of several holds that one request takes in turn, because the first was undone, the number of this one.
    `runs`: whether it counts among those that run at once; no more once its lease has ended. `is_job`: among jobs.
    `booked`: what was settled of it before its end under each rule, in nano-USD, of a batch.
    """

    until_s: int
    admitted_s: int
    cost_nano_usd: int
    rules: tuple[str, ...]
    request: dict[str, Any] | None = None
    admission: int = 0
    runs: bool = True
    is_job: bool = False
    costs: tuple[int, ...] = ()
    booked: tuple[int, ...] = ()

    @property
    def by_rule(self) -> dict[str, int]:
        """Nano-USD."""
        return dict(zip(self.rules, self.costs or (self.cost_nano_usd,) * len(self.rules), strict=True))

    @property
    def booked_by_rule(self) -> dict[str, int]:
        """Nano-USD; nothing where nothing is booked."""
        return dict(zip(self.rules, self.booked, strict=True)) if self.booked else {}

    def holding(self, by_rule: Mapping[str, int]) -> Hold:
        """The same with so much under these rules, of which the one over all models has all."""
        cost_nano_usd, costs = by_rule[suffix(ALL_MODELS)], tuple(by_rule.values())
        costs = () if all(cost == cost_nano_usd for cost in costs) else costs
        return msgspec.structs.replace(self, cost_nano_usd=cost_nano_usd, rules=tuple(by_rule), costs=costs)

    @property
    def counter(self) -> str:
        """The number of those that run at once in which it stands."""
        return "j" if self.is_job else "n"


class Reading(msgspec.Struct, frozen=True):
    """An account's numbers, and holds by name. `shards`: how many there are of it; None while that never changed."""

    numbers: Mapping[str, int] = msgspec.field(default_factory=dict)
    holds: Mapping[str, Hold] = msgspec.field(default_factory=dict)
    shards: int | None = None

    def counts_as_one_of(self, shards: int) -> bool:
        return self.shards in (None, shards)


class Reserved(msgspec.Struct, frozen=True):
    """`is_held`: whether the hold stands now. `reading`: after it was taken, or what stood in its way."""

    is_held: bool
    reading: Reading


def account_id(level: Level, tenant_id: str, user_id: str, shard: int) -> str:
    return f"T#{tenant_id}#{shard}" if level == "tenant" else f"U#{tenant_id}#{shard}#{user_id}"


def shard_of(account_id: str) -> int:
    return int(account_id.split("#", 3)[2])


def hold_name(request_id: str) -> str:
    """The random part of a request id, cut to 64 bits."""
    return f"h{request_id.rpartition('_')[2][:16]}"


def suffix(models: str) -> str:
    """Of the numbers of a rule: none for the one over all models."""
    return "" if models == ALL_MODELS else f"/{hashlib.sha256(models.encode()).hexdigest()[:8]}"


def minute_of(now_s: float) -> int:
    return int(now_s) // 60


def day_of(now_s: float) -> str:
    return _date_of(int(now_s // DAY_S))


def month_of(now_s: float) -> str:
    return day_of(now_s)[: len("2026-11")]


@lru_cache(maxsize=128)
def _date_of(day: int) -> str:
    """`day`: counted from 1970. Every request names its windows many times."""
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%d")


def settling(hold: Hold, cost_nano_usd: int, by_rule: Mapping[str, int] = MappingProxyType({})) -> dict[str, int]:
    """What to add to an account's numbers as a hold ends at that cost: all but what its minute still counts. `by_rule`:
    the cost of what falls under a rule, where that is not all of it. What was booked ahead is not booked again.
    """
    changes: dict[str, int] = {}
    windows, booked = (day_of(hold.admitted_s), month_of(hold.admitted_s)), hold.booked_by_rule
    for rule, held_nano_usd in hold.by_rule.items():
        actual_nano_usd = by_rule.get(rule, cost_nano_usd) - booked.get(rule, 0)
        if hold.runs:
            changes[f"{hold.counter}{rule}"] = -1
        for window in windows:
            changes[f"c{window}{rule}"] = actual_nano_usd - held_nano_usd
            changes[f"s{window}{rule}"] = actual_nano_usd
    return changes


def lost_by_rule(hold: Hold, cost_nano_usd: int) -> dict[str, int]:
    """What a request counts as under each rule of which nobody knows what it did: no more than was held there."""
    return {rule: min(cost_nano_usd, held_nano_usd) for rule, held_nano_usd in hold.by_rule.items()}


def leaving(hold: Hold) -> tuple[tuple[Meter, ...], Hold]:
    """What to add to an account, and the hold in its place, when nobody can be working on it any more."""
    kind: Kind = "jobs" if hold.is_job else "concurrent"
    meters = tuple(Meter(f"{hold.counter}{rule}", kind, -1) for rule in hold.rules)
    return meters, msgspec.structs.replace(hold, runs=False)


def becoming_job(hold: Hold) -> tuple[tuple[Meter, ...], Hold]:
    """What to add to an account, and the hold in its place, when a request goes on as a job. No limit is in the way of
    what runs already; what is known of the request is in the job's record.
    """
    of_job = msgspec.structs.replace(hold, is_job=True, request=None)
    if not hold.runs:
        return (), of_job
    left, _ = leaving(hold)
    return (*left, *(Meter(f"{of_job.counter}{rule}", "jobs", 1) for rule in hold.rules)), of_job


def booking_ahead(hold: Hold, left: Mapping[str, int], spent: Mapping[str, int]) -> tuple[tuple[Meter, ...], Hold]:
    """What to add to an account, and the hold in its place, when under each rule so many nano-USD of what it was held
    for are spent, and no more than so many can yet be. It says how things stand, not what was added: so it does not
    matter how often it is said.
    """
    booked, windows = hold.booked_by_rule, (day_of(hold.admitted_s), month_of(hold.admitted_s))
    meters: list[Meter] = []
    for rule, held_nano_usd in hold.by_rule.items():
        further = spent[rule] - booked.get(rule, 0)
        for kind, amount in (("c", further + left[rule] - held_nano_usd), ("s", further)):
            meters += [Meter(f"{kind}{window}{rule}", "spend", amount) for window in windows if amount]
    ahead = hold.holding({rule: left[rule] for rule in hold.rules})
    return tuple(meters), msgspec.structs.replace(ahead, booked=tuple(spent[rule] for rule in hold.rules))


def booking(hold: Hold, cost_nano_usd: int) -> dict[str, int]:
    """What to add to an account in which that hold does not stand, for what it was held for has cost so much."""
    windows = (day_of(hold.admitted_s), month_of(hold.admitted_s))
    names = [f"{kind}{window}{rule}" for rule in hold.rules for window in windows for kind in "cs"]
    return dict.fromkeys(names, cost_nano_usd)


def told_name(window: str, mark_nano_usd: int) -> str:
    """`window`: as in the name of the number that has come to the mark, with its rule."""
    when, slash, rule = window.partition("/")
    return f"a{when}.{mark_nano_usd}{slash}{rule}"


def stale_numbers(reading: Reading, now_s: float) -> list[str]:
    """Numbers of windows that are over, which nobody asks for again; days and months not before holds on them end."""
    stale = [name for name in reading.numbers if _is_over(name.partition("/")[0], now_s)]
    if not any(name[0] in "cs" for name in stale):
        return stale
    held = {window(hold.admitted_s) for hold in reading.holds.values() for window in (day_of, month_of)}
    return [name for name in stale if name[0] not in "cs" or name.partition("/")[0][1:] not in held]


def _is_over(name: str, now_s: float) -> bool:
    kind, window = name[0], name[1:]
    if kind in "rt":
        return int(window) < minute_of(now_s) - 1
    if kind == "b":
        seconds, _, number = window.partition(".")
        return int(number) < int(now_s) // int(seconds)
    window = window.partition(".")[0]
    if kind in "acs":
        oldest = day_of(now_s - DAYS_KEPT * DAY_S) if len(window) > 7 else month_of(now_s - MONTHS_KEPT * 31 * DAY_S)
        return window < oldest
    return False
