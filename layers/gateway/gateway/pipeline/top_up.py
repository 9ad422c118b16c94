"""More for a request that was admitted already, because it turned out to need more: in place, with nothing given back.

A hold is replaced by a larger one in the same write that checks what it adds against every limit.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.model.errors import AdmissionUnavailable, CapabilityNotSupported, GatewayError
from gateway.model.ledger import Account, Hold, Level, Meter, Reading, hold_name, shard_of, suffix
from gateway.pipeline.admit import NO_ROOM, SPREAD_ANEW, Entry, Ticket, fill, refusal_of
from gateway.pipeline.meters import Demand, account_of, allowance_of, rules_of

_CONTRADICTION = "Limits cannot be checked at the moment (the ledger contradicts itself)."


async def top_up_for_any(ticket: Ticket, demand: Demand, now_s: float) -> None:
    """As `top_up`; where any of several models will do, for the first that there is room for. Raises that of the first
    when there is room for none.
    """
    no_room: list[tuple[str, GatewayError]] = []
    for one in demand.any_of:
        try:
            await top_up(ticket, one, now_s)
        except NO_ROOM as refusal:
            no_room.append((one.model_id, refusal))
        else:
            ticket.no_room = tuple(no_room)
            return
    _, first = no_room[0]
    raise first


async def top_up(ticket: Ticket, demand: Demand, now_s: float) -> None:
    """What is held is enough for this demand afterwards, under the rules of its model too. It grows, or stays.

    Raises BudgetExceeded (402), RateLimited (429), AdmissionUnavailable (503), of a batch's line
    CapabilityNotSupported (400) for another model; what was held before still is.
    """
    if ticket.demand.of_batch:
        await _take_besides(ticket, demand)
        return
    ticket.entries = [await _known(entry, ticket) for entry in ticket.entries]
    held = ticket.demand
    wanted = replace(demand, is_job=held.is_job)
    steps = [_step(entry, wanted, ticket, now_s) for entry in ticket.entries]
    ticket.entries = [step.unanswered for step in steps]  # as long as nobody knows, also if this ends in the middle
    outcomes = await asyncio.gather(*(_taken(step, ticket) for step in steps))
    ticket.entries = [entry for entry, _ in outcomes]
    ticket.later = tuple(_booked_later(ticket, wanted))
    if refusals := [refusal for _, refusal in outcomes if refusal is not None]:
        raise min(refusals, key=lambda error: error.retryable)
    tokens, cost_nano_usd = max(held.tokens, demand.tokens), max(held.cost_nano_usd, demand.cost_nano_usd)
    ticket.demand = replace(held, tokens=tokens, cost_nano_usd=cost_nano_usd)


async def _take_besides(ticket: Ticket, demand: Demand) -> None:
    """Of a line, whose batch holds for many at once: what it needs more is held by itself, until its cost is booked.
    Taken again it is the same.
    """
    held = ticket.demand
    if demand.model_id != held.model_id:
        raise CapabilityNotSupported("A line of a batch is answered by the model that it names.", param="model")
    if demand.cost_nano_usd <= held.cost_nano_usd:
        return
    more = replace(
        demand,
        tokens=0,
        cost_nano_usd=demand.cost_nano_usd - held.cost_nano_usd,
        lease_s=max(demand.lease_s, held.lease_s),
        of_batch=True,
    )
    name = hold_name(f"req_{hashlib.sha256(ticket.name.encode()).hexdigest()}")  # of no request that is recorded
    ticket.besides = besides = Ticket(name, more, ticket.principal, ticket.ledger, ticket.admitted_s)
    await fill(besides, {})
    if besides.refusal is not None:
        raise besides.refusal


def _booked_later(ticket: Ticket, wanted: Demand) -> Iterator[tuple[str, Hold]]:
    """Where its cost goes that no account knows: under the rules of this model too. Of a job that was admitted without
    the ledger nothing else is left.
    """
    holds = {entry.account.id: entry.hold for entry in ticket.entries}
    for account_id, hold in ticket.later:
        level: Level = "tenant" if account_id.startswith("T#") else "user"
        own = rules_of(allowance_of(level, ticket.principal), wanted.model_id)
        yield account_id, holds.get(account_id) or hold.holding({**hold.by_rule, **_missing(hold, own)})


def _missing(hold: Hold, models: Sequence[str]) -> dict[str, int]:
    return {rule: 0 for one in models if (rule := suffix(one)) not in hold.rules}


async def _known(entry: Entry, ticket: Ticket) -> Entry:
    """As it stands, where an earlier top-up was not answered; which may come yet. Raises AdmissionUnavailable (503)."""
    if entry.perhaps is None:
        return entry
    reading = await ticket.ledger.read(entry.account.id)
    return entry.perhaps if reading.holds.get(ticket.name) == entry.perhaps.hold else entry


class _Step(Struct, frozen=True):
    """An account as it is and as it is to be. `more`: what that adds to it."""

    entry: Entry
    larger: Entry
    more: Account

    @property
    def unanswered(self) -> Entry:
        return replace(self.entry, perhaps=self.larger) if self.more.meters else self.entry


def _step(entry: Entry, wanted: Demand, ticket: Ticket, now_s: float) -> _Step:
    larger = tuple(_larger(meter, wanted, now_s) for meter in entry.account.meters)
    further = tuple(_further(entry, wanted, ticket, now_s))
    account = replace(entry.account, meters=(*larger, *further))
    costs = {suffix(meter.models): meter.amount for meter in account.meters if meter.kind == "spend"}
    hold = entry.hold.holding({**entry.hold.by_rule, **costs})
    more = replace(account, meters=(*_differences(entry.account.meters, larger), *further))
    return _Step(entry, Entry(account, entry.reading, hold), more)


async def _taken(step: _Step, ticket: Ticket) -> tuple[Entry, GatewayError | None]:
    entry, account, more = step.entry, step.larger.account, step.more
    if not more.meters:
        return entry, None
    try:
        reserved = await ticket.ledger.enlarge(more, ticket.name, entry.hold, step.larger.hold)
    except AdmissionUnavailable as error:
        return step.unanswered, error
    if reserved.is_held:
        return replace(step.larger, reading=reserved.reading), None
    if not reserved.reading.counts_as_one_of(account.shards):
        return entry, AdmissionUnavailable(SPREAD_ANEW)
    numbers = reserved.reading.numbers
    against = {meter.name for meter in more.meters if meter.refuses(numbers.get(meter.name, 0))}
    if not against:
        return entry, AdmissionUnavailable(_CONTRADICTION)
    without_it = {
        **numbers,
        **{meter.name: numbers.get(meter.name, 0) - meter.amount for meter in entry.account.meters},
    }
    refusing = [meter for meter in account.meters if meter.name in against]
    return entry, refusal_of(refusing, account, Reading(without_it), ticket.admitted_s)


def _larger(meter: Meter, wanted: Demand, now_s: float) -> Meter:
    """Tokens of a minute that is over count no more; money does, whatever day it is by now."""
    tokens, cost_nano_usd = wanted.under(meter.models)
    if meter.kind == "spend":
        return replace(meter, amount=max(meter.amount, cost_nano_usd))
    if meter.kind == "tokens" and (meter.ends_s or 0) > now_s:
        return replace(meter, amount=max(meter.amount, tokens))
    return meter


def _further(entry: Entry, wanted: Demand, ticket: Ticket, now_s: float) -> Iterator[Meter]:
    """Of rules that it does not stand in yet, because they are for another model than it was admitted for, or newer:
    its rates count now, its money when that was.
    """
    principal, level, rules = ticket.principal, entry.account.level, {*entry.hold.rules}
    own = rules_of(allowance_of(level, principal), wanted.model_id)
    if rules.issuperset(suffix(models) for models in own):
        return
    for at_s, is_spend in ((now_s, False), (ticket.admitted_s, True)):
        for meter in account_of(level, principal, wanted, at_s, shard_of(entry.account.id)).meters:
            if suffix(meter.models) not in rules and (meter.kind == "spend") is is_spend:
                yield meter


def _differences(before: tuple[Meter, ...], after: tuple[Meter, ...]) -> Iterator[Meter]:
    for old, new in zip(before, after, strict=True):
        if new.amount != old.amount:
            yield replace(new, amount=new.amount - old.amount)
