"""What a batch's lines can cost at most is held before any is asked: at once, under each rule what falls under it.

The hold says how much of it is spent and how much can yet be. That is said again as parts end, so what is left for
others grows while the batch runs; and it does not matter how often it is said, or by whom.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from gateway.model.batch import Batch, BatchPart, BatchTotals
from gateway.model.job import Job
from gateway.model.ledger import Hold, Level, Reading, booking_ahead, hold_name
from gateway.model.limits import Allowance
from gateway.model.tenant import Principal
from gateway.pipeline.admit import NOTHING, Entry, Ticket, Used, fill, give_back, settle
from gateway.pipeline.alerts import Settled, tell_alerts
from gateway.pipeline.handed_over import kept_of, take_as_it_stands, ticket_of
from gateway.pipeline.meters import Demand, by_rule, together
from gateway.ports import World

GRACE_S = 2 * 3600
"""After the time that a batch has, until nobody can be settling it any more."""


async def held_for(job: Job, batch: Batch, principal: Principal, world: World) -> dict[str, Any]:
    """As the batch's record keeps it. Raises BudgetExceeded (402), and then nothing is held; AdmissionUnavailable
    (503): repeated, it finds what it has taken.
    """
    ticket = _ticket(job, batch, principal, world)
    await fill(ticket, {})
    if ticket.refusal is not None:
        if not ticket.refusal.retryable:
            await give_back(ticket)
        raise ticket.refusal
    return kept_of(ticket, world)


def _ticket(job: Job, batch: Batch, principal: Principal, world: World) -> Ticket:
    """The same whenever it is made."""
    assert batch.held_from_s is not None  # noqa: S101 - it is recorded before
    from_s = float(batch.held_from_s)
    lease_s = job.expires_at_s + GRACE_S - from_s
    demands = [Demand(group.model, 0, group.held_nano_usd, lease_s, of_batch=True) for group in batch.groups]
    digest = hashlib.sha256(job.id.encode()).hexdigest()  # under which no request is recorded
    demand = together(demands, adds_up=True)
    return Ticket(hold_name(f"req_{digest}"), demand, principal, world.ledger, from_s)


def totals_of(parts: Sequence[BatchPart], group: int | None = None) -> BatchTotals:
    return sum((part.totals for part in parts if group in (None, part.group)), BatchTotals())


def _spent(batch: Batch, parts: Sequence[BatchPart]) -> Counter[str]:
    """By model."""
    spent: Counter[str] = Counter()
    for number, group in enumerate(batch.groups):
        spent[group.model] += totals_of(parts, number).cost_nano_usd
    return spent


def _left(batch: Batch, parts: Sequence[BatchPart]) -> Counter[str]:
    """What lines can cost that have not ended, by model."""
    left: Counter[str] = Counter()
    for number, group in enumerate(batch.groups):
        left[group.model] += max(0, group.held_nano_usd - totals_of(parts, number).held_nano_usd)
    return left


async def book_ahead(job: Job, batch: Batch, principal: Principal, world: World) -> None:
    """How things stand. What cannot be booked now is booked with what follows, at the latest at its end.

    Raises StorageUnavailable and AdmissionUnavailable (503).
    """
    if batch.held is None:
        return
    ticket = ticket_of(batch.held, principal, world)
    await take_as_it_stands(ticket)
    parts = await world.batch_parts.all(job.tenant_id, job.id)
    spent, left = _spent(batch, parts), _left(batch, parts)
    settled: list[Settled] = []
    for entry in ticket.entries:
        allowance = _allowance(entry.account.level, principal)
        under = (_under_rules(amounts, entry.hold, allowance) for amounts in (left, spent))
        meters, hold = booking_ahead(entry.hold, *under)
        if meters:
            reserved = await world.ledger.enlarge(replace(entry.account, meters=meters), ticket.name, entry.hold, hold)
            if reserved.is_held:
                settled.append(_settled(entry, reserved.reading, ticket))
    await tell_alerts(settled, world.ledger, world.events, world.clock.now_s())


def _under_rules(amounts: Mapping[str, int], hold: Hold, allowance: Allowance) -> dict[str, int]:
    """Those of a rule that is set no more do not matter, as long as they are the same whenever it is asked."""
    known, total = by_rule(allowance, hold.rules, amounts), sum(amounts.values())
    return {rule: known.get(rule, total) for rule in hold.rules}


async def settle_lines(job: Job, batch: Batch, parts: Sequence[BatchPart], principal: Principal, world: World) -> None:
    """Once and for all, also of a batch that has not come to be carried out. Raises AdmissionUnavailable (503)."""
    if batch.held_from_s is None:
        return
    if batch.held is None:
        ticket = _ticket(job, batch, principal, world)
        await fill(ticket, {})  # it finds what it has taken, if anything
        await settle(ticket, NOTHING, ticket.admitted_s)
        return
    ticket = ticket_of(batch.held, principal, world)
    await take_as_it_stands(ticket)
    spent, now_s = _spent(batch, parts), world.clock.now_s()
    settled = await settle(ticket, Used(spent.total(), costs=spent), now_s, world.clock)
    told = [_settled(entry, reading, ticket) for entry, reading in settled]
    await tell_alerts(told, world.ledger, world.events, now_s)


def _settled(entry: Entry, reading: Reading, ticket: Ticket) -> Settled:
    """Of which nobody knows how it was before: a mark that nobody has noted is told."""
    account, principal = entry.account, ticket.principal
    user_id = None if account.level == "tenant" else principal.user.id
    marks = _allowance(account.level, principal).alerts
    of = (account.id, account.level, principal.tenant.id, user_id, account.shards, marks, account.meters)
    return Settled(*of, cost_nano_usd=0, reading=reading)


def _allowance(level: Level, principal: Principal) -> Allowance:
    return principal.tenant.allowance if level == "tenant" else principal.allowance
