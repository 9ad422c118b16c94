"""Admission: the most a request can use is taken from the tenant's and the user's account, both in one round trip.

What was taken is a ticket. However the request ends, `settle` turns it into what was really used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from random import SystemRandom
from typing import Any, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.model.errors import AdmissionUnavailable, BudgetExceeded, GatewayError, RateLimited
from gateway.model.ledger import (
    Account,
    Hold,
    Level,
    Meter,
    Reading,
    hold_name,
    lost_by_rule,
    settling,
    stale_numbers,
    suffix,
)
from gateway.model.tenant import Principal
from gateway.pipeline.meters import Demand, account_of, allowance_of, by_rule, rules_for
from gateway.ports import Clock, Ledger, World

LEVELS: tuple[Level, Level] = ("tenant", "user")
NO_ROOM = (BudgetExceeded, RateLimited)
"""What a request is refused with that its limits or budgets have no room for."""
SPREAD_ANEW = "Limits are being spread anew at this moment."
_UNITS = {
    "requests": "requests_per_minute",
    "tokens": "tokens_per_minute",
    "burst": "requests_in_a_burst",
    "concurrent": "concurrent_requests",
    "jobs": "concurrent_jobs",
}
RETRY_S = {"concurrent": 1, "jobs": 10}
"""Of what has no window: about how soon one of them may end."""

STALE_AT_ONCE = 100
"""Numbers that one settling removes at most: an expression has 4 KB, and what is left the next one removes.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters"""


class Entry(Struct, frozen=True):
    """One account as the request left it, or as it stood in its way: then `refusal` says why.

    `perhaps`: how it stands if a write that was not answered came through all the same.
    """

    account: Account
    reading: Reading
    hold: Hold
    refusal: GatewayError | None = None
    perhaps: Entry | None = None

    @property
    def may_be_held(self) -> bool:
        """Also of an account that did not answer: it may have taken the hold all the same."""
        refusal = self.refusal
        return refusal is None or (isinstance(refusal, AdmissionUnavailable) and not refusal.took_nothing)


class Ticket(Struct):
    """`entries`: tenant, then user. `stands_for`: the one that was tried before, when this one is only of what this
    environment counts by itself. `later`: then the accounts that its cost is added to by whoever keeps its record, with
    what would be held in them. `no_room`: models that come before the one it is for, and why they are not asked.
    `besides`: what a line of a batch needs more than is held for it.
    """

    name: str
    demand: Demand
    principal: Principal
    ledger: Ledger
    admitted_s: float
    entries: list[Entry] = field(default_factory=list)
    stands_for: Ticket | None = None
    admission: int = 0
    later: tuple[tuple[str, Hold], ...] = ()
    no_room: tuple[tuple[str, GatewayError], ...] = ()
    besides: Ticket | None = None

    @property
    def refusal(self) -> GatewayError | None:
        """What cannot be helped by waiting comes first."""
        refusals = [entry.refusal for entry in self.entries if entry.refusal is not None]
        return min(refusals, key=lambda error: error.retryable, default=None)

    def meters(self) -> Iterator[tuple[Entry, Meter]]:
        return ((entry, meter) for entry in self.entries for meter in entry.account.meters)


Facts: TypeAlias = Mapping[str, Any]


async def take(
    request_id: str, demand: Demand, principal: Principal, facts: Facts, world: World, admission: int = 0
) -> Ticket:
    """The holds, or why there are none, in a ticket. `facts`: of the request, for whoever has to record its loss;
    without any nobody does. `admission`: as of a hold; each model that is tried instead has two numbers
    more.

    Where any of several models will do: for the first that there is room for. When there is room for none, nothing is
    held, and the ticket says why for the first that there may be room for soon, else for the first.
    """
    if not demand.instead:
        return await _take_for(request_id, demand, principal, facts, world, admission)
    refused: list[Ticket] = []
    no_room: list[tuple[str, GatewayError]] = []
    for number, one in enumerate(demand.any_of):
        refusal = next((ticket.refusal for ticket in refused if _is_in_vain(one, ticket)), None)
        if refusal is None:
            ticket = await _take_for(request_id, one, principal, facts, world, admission + 2 * number)
            refusal = ticket.refusal
            if not isinstance(refusal, NO_ROOM):
                ticket.no_room = tuple(no_room)
                return ticket
            for taken in (ticket, ticket.stands_for):
                if taken is not None:
                    await give_back(taken)
            refused.append(ticket)
        no_room.append((one.model_id, refusal))
    return min(refused, key=lambda ticket: ticket.refusal is None or not ticket.refusal.retryable)


def _is_in_vain(demand: Demand, refused: Ticket) -> bool:
    """Whether the rule that had no room for another model has none for this one either."""
    if refused.refusal is None:
        return False
    facts = refused.refusal.facts()
    if not fnmatchcase(demand.model_id, facts["models"]):
        return False
    (tokens, cost), (most_tokens, most_cost) = demand.under(facts["models"]), refused.demand.under(facts["models"])
    is_of_requests = facts.get("limit_kind", _UNITS["tokens"]) != _UNITS["tokens"]
    return is_of_requests or (tokens >= most_tokens and cost >= most_cost)


async def _take_for(
    request_id: str, demand: Demand, principal: Principal, facts: Facts, world: World, admission: int
) -> Ticket:
    ticket = Ticket(hold_name(request_id), demand, principal, world.ledger, world.clock.now_s(), admission=admission)
    await fill(ticket, facts)
    if isinstance(ticket.refusal, AdmissionUnavailable) and principal.tenant.without_ledger == "local":
        world.records.trouble("ledger.local", tenant_id=principal.tenant.id, reason=ticket.refusal.message)
        ticket = replace(ticket, ledger=world.local_ledger, entries=[], stands_for=ticket)
        await fill(ticket, facts)
        ticket.later = tuple((entry.account.id, entry.hold) for entry in ticket.entries)
    return ticket


async def fill(ticket: Ticket, facts: Facts) -> None:
    """Takes what it stands for, or says why not in its entries. Filled again, it finds what it has taken."""
    ticket.entries = list(await asyncio.gather(*(_enter(level, ticket, facts) for level in LEVELS)))


async def _enter(level: Level, ticket: Ticket, facts: Facts) -> Entry:
    """In one of the account's shards: the request's own, or the next that has room."""
    principal = ticket.principal
    shards = principal.tenant.shards if level == "tenant" else principal.user.shards
    hold = _hold(level, ticket, facts)
    first = int(ticket.name[1:], 16) % shards
    full: list[Entry] = []
    for shard in (*range(first, shards), *range(first)):
        account = account_of(level, principal, ticket.demand, ticket.admitted_s, shard)
        try:
            entry = await _reserve(account, hold, ticket, full)
        except AdmissionUnavailable as error:
            return Entry(account, Reading(), hold, error)
        if entry.refusal is None:
            break
        full.append(entry)
    return entry


async def _reserve(account: Account, hold: Hold, ticket: Ticket, full: Sequence[Entry]) -> Entry:
    """`full`: other shards, which had no room."""
    hopeless = [meter for meter in account.meters if meter.refuses(0)]
    if hopeless:
        reading = await ticket.ledger.read(account.id)
        return Entry(account, reading, hold, refusal_of(hopeless, account, reading, ticket.admitted_s, full))
    reserved = await ticket.ledger.reserve(account, ticket.name, hold)
    if reserved.is_held:
        return Entry(account, reserved.reading, hold)
    if not reserved.reading.counts_as_one_of(account.shards):
        raise AdmissionUnavailable(SPREAD_ANEW)  # what is known of it is outdated
    if ticket.name in reserved.reading.holds:
        raise AdmissionUnavailable("What was held for this request before has not been given back yet.")
    against = [meter for meter in account.meters if meter.refuses(reserved.reading.numbers.get(meter.name, 0))]
    if not against:
        raise AdmissionUnavailable("Limits cannot be checked at the moment (the ledger contradicts itself).")
    refusal = refusal_of(against, account, reserved.reading, ticket.admitted_s, full)
    return Entry(account, reserved.reading, hold, refusal)


def _hold(level: Level, ticket: Ticket, facts: Facts) -> Hold:
    demand = ticket.demand
    patterns = rules_for(allowance_of(level, ticket.principal), demand).patterns
    hold = Hold(
        until_s=int(ticket.admitted_s + demand.lease_s) + 1,
        admitted_s=int(ticket.admitted_s),
        cost_nano_usd=demand.cost_nano_usd,
        rules=tuple(suffix(models) for models in patterns),
        request=_known(facts, demand.model_id) if facts and level == "user" else None,
        admission=ticket.admission,
        runs=not demand.of_batch,
        is_job=demand.is_job,
    )
    if not demand.parts:
        return hold
    return hold.holding({suffix(models): demand.under(models)[1] for models in patterns})


def _known(facts: Facts, model_id: str) -> dict[str, Any]:
    """No more than has to be told."""
    told = {name: value for name, value in facts.items() if value not in (None, False)}
    if told.get("model_requested") == model_id:
        del told["model_requested"]
    return {**told, "model": model_id}


def refusal_of(
    against: list[Meter], account: Account, reading: Reading, now_s: float, full: Sequence[Entry] = ()
) -> GatewayError:
    """For the first budget that has no room, else for the limit that takes longest to have some. What is left is that
    of all shards that were asked.
    """
    meter = max(against, key=lambda meter: (meter.kind == "spend", meter.ends_s or 0))
    limit = meter.whole or meter.limit or 0
    others = ((other, entry.reading) for entry in full for other in entry.account.meters if other.name == meter.name)
    remaining = meter.left_of(reading) + sum(other.left_of(found) for other, found in others)
    if meter.kind == "spend":
        window = "day" if len(meter.name.partition("/")[0]) > len("c2026-11") else "month"
        return BudgetExceeded(
            account.level,
            window,
            meter.models,
            limit=limit,
            remaining=remaining,
            needed=meter.amount,
            resets_at_s=meter.ends_s or 0,
        )
    retry_after_s = RETRY_S[meter.kind] if meter.ends_s is None else max(1, meter.ends_s - int(now_s))
    kind = _UNITS[meter.kind]
    return RateLimited(account.level, kind, meter.models, limit=limit, remaining=remaining, retry_after_s=retry_after_s)


class Used(Struct, frozen=True):
    """What a request really used. One that was not executed counts in no rate either. `costs`, `counts`: money and
    tokens by "provider/model". `is_lost`: whether nobody knows whom it asked.
    """

    cost_nano_usd: int = 0
    tokens: int = 0
    was_executed: bool = True
    costs: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    is_lost: bool = False


NOTHING = Used(was_executed=False)


PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Before each further try to settle, give or take half of it: what was turned away together does not come together."""
LATE_S = 1.0
_dice = SystemRandom()
"""Not of a seed, which all environments that are restored from one snapshot would share:
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html"""


async def settle(ticket: Ticket, used: Used, now_s: float, clock: Clock | None = None) -> list[tuple[Entry, Reading]]:
    """Each account after the request's end, but for those whose hold had ended before. `clock`: to try again for some
    seconds by, where nobody waits.

    Raises AdmissionUnavailable (503) after all were tried.
    """
    entries = [entry for entry in ticket.entries if entry.may_be_held]
    settled = [_settle_patiently(entry, ticket, used, now_s, clock) for entry in entries]
    outcomes = await asyncio.gather(*settled, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    paired = zip(entries, outcomes, strict=True)
    return [(entry, outcome) for entry, outcome in paired if isinstance(outcome, Reading)]


async def give_back(ticket: Ticket) -> None:
    """Undoes an admission of which nothing came. What cannot be undone now ends with its lease."""
    with suppress(AdmissionUnavailable):
        await settle(ticket, NOTHING, ticket.admitted_s)


async def _settle_patiently(
    entry: Entry, ticket: Ticket, used: Used, now_s: float, clock: Clock | None
) -> Reading | None:
    """What stays held makes its account's record larger, and every write of it dearer, until the sweeper comes. Where
    nobody knows whether it is held, the write that would hold it may come even after its undo.
    """
    if clock is None:
        return await _settle_one(entry, ticket, used, now_s)
    is_held = entry.refusal is None
    for pause_s in PAUSES_S if is_held else (LATE_S,):
        with suppress(AdmissionUnavailable):
            ended = await _settle_one(entry, ticket, used, now_s)
            if is_held or ended is not None:
                return ended
        await clock.sleep(pause_s * _dice.uniform(0.5, 1.5))
    return await _settle_one(entry, ticket, used, now_s)


async def _settle_one(entry: Entry, ticket: Ticket, used: Used, now_s: float) -> Reading | None:
    """A hold is ended only if it is that very one: nobody may know which of two stands, an undo that is not answered
    may arrive when the request has been admitted anew, and after its lease the sweeper has taken some of it back.
    """
    ended = await _end(entry.perhaps, ticket, used, now_s) if entry.perhaps is not None else None
    return ended or await _end(entry, ticket, used, now_s)


async def _end(entry: Entry, ticket: Ticket, used: Used, now_s: float) -> Reading | None:
    allowance, rules = allowance_of(entry.account.level, ticket.principal), entry.hold.rules
    costs, tokens = by_rule(allowance, rules, used.costs), by_rule(allowance, rules, used.counts)
    if used.is_lost:
        costs = lost_by_rule(entry.hold, used.cost_nano_usd)
    changes = settling(entry.hold, used.cost_nano_usd, costs)
    for meter in entry.account.meters:
        if (meter.ends_s or 0) <= now_s:
            continue  # nobody asks for the number of a window that is over
        if meter.kind == "tokens":
            changes[meter.name] = tokens.get(suffix(meter.models), used.tokens) - meter.amount
        elif meter.kind in ("requests", "burst") and not used.was_executed:
            changes[meter.name] = -meter.amount
    stale = stale_numbers(entry.reading, now_s)[:STALE_AT_ONCE]
    return await ticket.ledger.settle(entry.account.id, ticket.name, changes, stale, entry.hold)
