"""A request that ends in a job hands over what is held for it; whoever ends the job settles that, wherever it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Account, Hold, Level, Meter, Reading, becoming_job, shard_of, suffix
from gateway.model.limits import Limits
from gateway.model.tenant import Principal
from gateway.pipeline.admit import Entry, Ticket
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.meters import Demand, Rules, Share, account_by, allowance_of
from gateway.ports import World

GRACE_S = 300
"""After the longest time that a job may take, until nobody can be settling it any more."""


class HeldEntry(msgspec.Struct, frozen=True):
    """`tokens`: what it added to the numbers of which minutes."""

    level: Level
    shard: int
    hold: Hold
    tokens: dict[str, int] = {}


class Held(msgspec.Struct, frozen=True):
    """A ticket without what is found again by the principal: who limits what."""

    name: str
    model_id: str
    tokens: int
    cost_nano_usd: int
    lease_s: float
    admitted_s: float
    entries: tuple[HeldEntry, ...]
    later: tuple[tuple[str, Hold], ...] = ()
    is_job: bool = False
    of_batch: bool = False


def held_of(exchange: Exchange, world: World) -> dict[str, Any]:
    """The request's ticket as a job's record keeps it. What only this environment counts cannot be handed over, and is
    settled here; but where the job's cost belongs is kept.
    """
    ticket = exchange.ticket
    assert ticket is not None  # noqa: S101 - it was admitted
    return kept_of(ticket, world)


def kept_of(ticket: Ticket, world: World) -> dict[str, Any]:
    entries = [entry for entry in ticket.entries if entry.may_be_held] if ticket.ledger is world.ledger else []
    held = Held(
        name=ticket.name,
        model_id=ticket.demand.model_id,
        tokens=ticket.demand.tokens,
        cost_nano_usd=ticket.demand.cost_nano_usd,
        lease_s=ticket.demand.lease_s,
        admitted_s=ticket.admitted_s,
        entries=tuple(
            HeldEntry(entry.account.level, shard_of(entry.account.id), entry.hold, _tokens(entry.account))
            for entry in entries
        ),
        later=ticket.later,
        is_job=ticket.demand.is_job,
        of_batch=ticket.demand.of_batch,
    )
    kept: dict[str, Any] = msgspec.to_builtins(held)
    return kept


def ticket_of(kept: dict[str, Any], principal: Principal, world: World) -> Ticket:
    """`principal`: whom it was held for, with the limits of today."""
    held = msgspec.convert(kept, Held)
    demand = Demand(held.model_id, held.tokens, held.cost_nano_usd, held.lease_s, held.is_job, of_batch=held.of_batch)
    entries = [
        Entry(_account(one.level, one.shard, one.hold, one.tokens, principal, demand), Reading(), one.hold)
        for one in held.entries
    ]
    return Ticket(held.name, demand, principal, world.ledger, held.admitted_s, entries, later=held.later)


def is_held_for_long(kept: dict[str, Any], expires_at_s: int) -> bool:
    """Whether the record says that what is held was prolonged already."""
    return all(entry.hold.until_s >= expires_at_s for entry in msgspec.convert(kept, Held).entries)


async def still_held(ticket: Ticket, expires_at_s: int) -> bool:
    """Whether all that was held for a job still is: then for as long as the job may take. Until there is a job it is
    held as for any request, so that nothing is held for a day for one that never came to be.

    Raises AdmissionUnavailable (503).
    """
    taken = len(ticket.entries)
    await take_as_it_stands(ticket)
    if len(ticket.entries) < taken:
        return False
    until_s = expires_at_s + GRACE_S
    ticket.entries = list(await asyncio.gather(*(_prolonged(entry, ticket, until_s) for entry in ticket.entries)))
    return True


async def take_as_it_stands(ticket: Ticket) -> None:
    """What the ledger holds under the ticket's name counts: of a worker that died nobody knows whether it took more.

    Raises AdmissionUnavailable (503).
    """
    readings = await asyncio.gather(*(ticket.ledger.read(entry.account.id) for entry in ticket.entries))
    paired = zip(ticket.entries, readings, strict=True)
    found = [(entry, reading.holds.get(ticket.name)) for entry, reading in paired]
    ticket.entries = [_entry_of(entry, hold, ticket) for entry, hold in found if hold is not None]
    costs = [entry.hold.cost_nano_usd for entry in ticket.entries]
    ticket.demand = replace(ticket.demand, cost_nano_usd=min(costs, default=ticket.demand.cost_nano_usd))


async def count_as_job(ticket: Ticket) -> None:
    """What is held for a request that goes on as a job takes no place of requests at once any more, but one of jobs.

    Raises AdmissionUnavailable (503): then it takes the place that it had.
    """
    ticket.entries = list(await asyncio.gather(*(_as_job(entry, ticket) for entry in ticket.entries)))
    ticket.demand = replace(ticket.demand, is_job=True)


async def _as_job(entry: Entry, ticket: Ticket) -> Entry:
    if entry.hold.is_job:
        return entry
    meters, of_job = becoming_job(entry.hold)
    return await _exchanged(entry, of_job, ticket, meters)


def _entry_of(entry: Entry, hold: Hold, ticket: Ticket) -> Entry:
    """Of what is held by now, so that nobody adds again what was added by another."""
    account, tokens = entry.account, _tokens(entry.account)
    held = _account(account.level, shard_of(account.id), hold, tokens, ticket.principal, ticket.demand)
    return replace(entry, account=held, hold=hold)


def _account(
    level: Level, shard: int, hold: Hold, tokens: Mapping[str, int], principal: Principal, demand: Demand
) -> Account:
    """With the limits of today, and under no rule that it is not held under."""
    allowance, by_rule = allowance_of(level, principal), hold.by_rule
    rules = Rules(
        [limits for limits in allowance.limits if suffix(limits.models) in by_rule],
        [budget for budget in allowance.budgets if suffix(budget.models) in by_rule],
    )
    account = account_by(level, principal, rules, demand, hold.admitted_s, shard)
    meters = [
        replace(meter, amount=by_rule[suffix(meter.models)]) if meter.kind == "spend" else meter
        for meter in account.meters
        if meter.kind != "tokens"
    ]
    return replace(account, meters=(*meters, *_token_meters(tokens, rules.limits, Share(account.shards, shard))))


def _tokens(account: Account) -> dict[str, int]:
    return {meter.name: meter.amount for meter in account.meters if meter.kind == "tokens"}


def _token_meters(tokens: Mapping[str, int], limits: Sequence[Limits], share: Share) -> Iterator[Meter]:
    """Of minutes that may be later than its admission: those of another model began when that was asked."""
    for name, amount in tokens.items():
        minute, slash, rule = name[1:].partition("/")
        own = [one for one in limits if suffix(one.models) == slash + rule]
        known = [one.tokens_per_minute for one in own if one.tokens_per_minute is not None]
        if known:
            most, ends_s = min(known), (int(minute) + 1) * 60
            yield Meter(name, "tokens", amount, share.of(most), own[0].models, ends_s, most)


async def _prolonged(entry: Entry, ticket: Ticket, until_s: int) -> Entry:
    if entry.hold.until_s >= until_s:
        return entry
    return await _exchanged(entry, msgspec.structs.replace(entry.hold, until_s=until_s), ticket)


async def _exchanged(entry: Entry, hold: Hold, ticket: Ticket, meters: tuple[Meter, ...] = ()) -> Entry:
    """`meters`: what that adds to the account."""
    account = replace(entry.account, meters=meters)
    if not (await ticket.ledger.enlarge(account, ticket.name, entry.hold, hold)).is_held:
        raise AdmissionUnavailable("What is held for the job changes at this moment.")
    return replace(entry, hold=hold)
