"""More for a request that was admitted already, because it turned out to need more: in place, with nothing given back.

A hold is replaced by a larger one in the same write that checks what it adds against every limit.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace

from msgspec import structs

from gateway.model.errors import AdmissionUnavailable, CapabilityNotSupported, GatewayError
from gateway.model.ledger import Meter, Reading, hold_name, shard_of, suffix
from gateway.pipeline.admit import SPREAD_ANEW, Entry, Ticket, fill, refusal_of
from gateway.pipeline.meters import Demand, account_of

_CONTRADICTION = "Limits cannot be checked at the moment (the ledger contradicts itself)."


async def top_up(ticket: Ticket, demand: Demand, now_s: float) -> None:
    """What is held is enough for this demand afterwards, under the rules of its model too. It grows, or stays.

    Raises BudgetExceeded (402), RateLimited (429), AdmissionUnavailable (503), of a batch's line
    CapabilityNotSupported (400) for another model; what was held before still is.
    """
    if ticket.demand.of_batch:
        await _take_besides(ticket, demand, now_s)
        return
    held = ticket.demand
    tokens, cost_nano_usd = max(held.tokens, demand.tokens), max(held.cost_nano_usd, demand.cost_nano_usd)
    if (tokens, cost_nano_usd) == (held.tokens, held.cost_nano_usd) and demand.model_id == held.model_id:
        return
    wanted = replace(demand, tokens=tokens, cost_nano_usd=cost_nano_usd, is_job=held.is_job)
    outcomes = await asyncio.gather(*(_topped_up(entry, wanted, ticket, now_s) for entry in ticket.entries))
    ticket.demand = replace(held, tokens=tokens, cost_nano_usd=cost_nano_usd)
    ticket.entries = [entry for entry, _ in outcomes]
    if ticket.later:
        ticket.later = tuple((entry.account.id, entry.hold) for entry in ticket.entries)
    if refusals := [refusal for _, refusal in outcomes if refusal is not None]:
        raise min(refusals, key=lambda error: error.retryable)


async def _take_besides(ticket: Ticket, demand: Demand, now_s: float) -> None:
    """Of a line, whose batch holds for many at once: what it needs more is held by itself, until its cost is booked."""
    held = ticket.demand
    if demand.model_id != held.model_id:
        raise CapabilityNotSupported("A line of a batch is answered by the model that it names.", param="model")
    if demand.cost_nano_usd <= held.cost_nano_usd:
        return
    more = replace(demand, tokens=0, cost_nano_usd=demand.cost_nano_usd - held.cost_nano_usd, of_batch=True)
    name = hold_name(f"req_{hashlib.sha256(ticket.name.encode()).hexdigest()}")  # of no request that is recorded
    ticket.besides = besides = Ticket(name, more, ticket.principal, ticket.ledger, now_s)
    await fill(besides, {})
    if besides.refusal is not None:
        raise besides.refusal


async def _topped_up(entry: Entry, wanted: Demand, ticket: Ticket, now_s: float) -> tuple[Entry, GatewayError | None]:
    larger = tuple(_larger(meter, wanted, now_s) for meter in entry.account.meters)
    further = tuple(_further(entry, wanted, ticket, now_s))
    account = replace(entry.account, meters=(*larger, *further))
    rules = dict.fromkeys((*entry.hold.rules, *(suffix(meter.models) for meter in further)))
    hold = structs.replace(entry.hold, cost_nano_usd=wanted.cost_nano_usd, rules=tuple(rules))
    more = replace(account, meters=(*_differences(entry.account.meters, larger), *further))
    if not more.meters:
        return entry, None
    try:
        reserved = await ticket.ledger.enlarge(more, ticket.name, entry.hold, hold)
    except AdmissionUnavailable as error:
        return replace(entry, perhaps=Entry(account, entry.reading, hold)), error
    if reserved.is_held:
        return Entry(account, reserved.reading, hold), None
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
    if meter.kind == "spend":
        return replace(meter, amount=wanted.cost_nano_usd)
    if meter.kind == "tokens" and (meter.ends_s or 0) > now_s:
        return replace(meter, amount=wanted.tokens)
    return meter


def _further(entry: Entry, wanted: Demand, ticket: Ticket, now_s: float) -> Iterator[Meter]:
    """Of rules that it does not stand in yet, because they are for another model than it was admitted for: its rates
    count now, its money when that was.
    """
    if wanted.model_id == ticket.demand.model_id:
        return
    level, shard = entry.account.level, shard_of(entry.account.id)
    known = {meter.name for meter in entry.account.meters}
    rules = {suffix(meter.models) for meter in entry.account.meters}
    for at_s, is_spend in ((now_s, False), (ticket.admitted_s, True)):
        for meter in account_of(level, ticket.principal, wanted, at_s, shard).meters:
            is_further = suffix(meter.models) not in rules and meter.name not in known
            if is_further and (meter.kind == "spend") is is_spend:
                yield meter


def _differences(before: tuple[Meter, ...], after: tuple[Meter, ...]) -> Iterator[Meter]:
    for old, new in zip(before, after, strict=True):
        if new.amount != old.amount:
            yield replace(new, amount=new.amount - old.amount)
