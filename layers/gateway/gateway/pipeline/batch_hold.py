"""What a batch's lines can cost at most is held before any is asked: for each group by itself, under its model's rules.

A hold says how much of it is spent and how much can yet be. That is said again as parts end, so what is left for others
grows while the batch runs; and it does not matter how often it is said, or by whom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.model.batch import Batch, BatchGroup, BatchPart, BatchTotals
from gateway.model.errors import AdmissionUnavailable
from gateway.model.job import Job
from gateway.model.ledger import Meter, Reading, booking_ahead, hold_name
from gateway.model.tenant import Principal
from gateway.pipeline.admit import NOTHING, Entry, Ticket, Used, fill, give_back, settle
from gateway.pipeline.alerts import Settled, tell_alerts
from gateway.pipeline.handed_over import kept_of, take_as_it_stands, ticket_of
from gateway.pipeline.meters import Demand
from gateway.ports import World

GRACE_S = 2 * 3600
"""After the time that a batch has, until nobody can be settling it any more."""


async def held_groups(job: Job, batch: Batch, principal: Principal, world: World) -> tuple[BatchGroup, ...]:
    """Raises BudgetExceeded (402), and then nothing is held; AdmissionUnavailable (503): repeated, it finds what it has
    taken.
    """
    tickets = [_ticket(job, batch, number, principal, world) for number in range(len(batch.groups))]
    for ticket in tickets:
        await fill(ticket, {})
        if ticket.refusal is not None:
            if not isinstance(ticket.refusal, AdmissionUnavailable):
                for taken in tickets:
                    await give_back(taken)
            raise ticket.refusal
    return tuple(_with_hold(group, ticket, world) for group, ticket in zip(batch.groups, tickets, strict=True))


def _with_hold(group: BatchGroup, ticket: Ticket, world: World) -> BatchGroup:
    return BatchGroup(
        endpoint=group.endpoint,
        model=group.model,
        parts=group.parts,
        lines=group.lines,
        held_nano_usd=group.held_nano_usd,
        way=group.way,
        held=kept_of(ticket, world),
    )


def _ticket(job: Job, batch: Batch, number: int, principal: Principal, world: World) -> Ticket:
    """The same whenever it is made."""
    assert batch.held_from_s is not None  # noqa: S101 - it is recorded before
    group, from_s = batch.groups[number], float(batch.held_from_s)
    lease_s = job.expires_at_s + GRACE_S - from_s
    demand = Demand(group.model, 0, group.held_nano_usd, lease_s, of_batch=True)
    digest = hashlib.sha256(f"{job.id}.{number}".encode()).hexdigest()
    return Ticket(hold_name(f"req_{digest}"), demand, principal, world.ledger, from_s)


def totals_of(parts: Sequence[BatchPart], group: int | None = None) -> BatchTotals:
    return sum((part.totals for part in parts if group in (None, part.group)), BatchTotals())


async def book_ahead(job: Job, batch: Batch, number: int, principal: Principal, world: World) -> None:
    """How things stand with a group. What cannot be booked now is booked with what follows, at the latest at its end.

    Raises StorageUnavailable and AdmissionUnavailable (503).
    """
    group = batch.groups[number]
    if group.held is None:
        return
    ticket = ticket_of(group.held, principal, world)
    await take_as_it_stands(ticket)
    totals = totals_of(await world.batch_parts.all(job.tenant_id, job.id), number)
    left_nano_usd = max(0, group.held_nano_usd - totals.held_nano_usd)
    settled: list[Settled] = []
    for entry in ticket.entries:
        meters, hold = booking_ahead(entry.hold, left_nano_usd, totals.cost_nano_usd)
        if meters:
            reserved = await world.ledger.enlarge(replace(entry.account, meters=meters), ticket.name, entry.hold, hold)
            if reserved.is_held:
                spent = totals.cost_nano_usd - entry.hold.booked_nano_usd
                settled.append(_settled(entry, entry.account.meters, spent, reserved.reading, ticket))
    await tell_alerts(settled, world.ledger, world.events, world.clock.now_s())


async def settle_groups(job: Job, batch: Batch, parts: Sequence[BatchPart], principal: Principal, world: World) -> None:
    """Once and for all, also of a batch that has not come to be carried out. Raises AdmissionUnavailable (503)."""
    if batch.held_from_s is None:
        return
    for number, group in enumerate(batch.groups):
        if group.held is not None:
            await _settle_group(group.held, totals_of(parts, number), principal, world)
            continue
        ticket = _ticket(job, batch, number, principal, world)
        await fill(ticket, {})  # it finds what it has taken, if anything
        await settle(ticket, NOTHING, ticket.admitted_s)


async def _settle_group(held: dict[str, Any], totals: BatchTotals, principal: Principal, world: World) -> None:
    ticket = ticket_of(held, principal, world)
    await take_as_it_stands(ticket)
    booked = {entry.account.id: entry.hold.booked_nano_usd for entry in ticket.entries}
    now_s = world.clock.now_s()
    settled = await settle(ticket, Used(totals.cost_nano_usd), now_s, world.clock)
    told = [
        _settled(entry, entry.account.meters, totals.cost_nano_usd - booked[entry.account.id], reading, ticket)
        for entry, reading in settled
    ]
    await tell_alerts(told, world.ledger, world.events, now_s)


def _settled(entry: Entry, meters: Sequence[Meter], cost_nano_usd: int, reading: Reading, ticket: Ticket) -> Settled:
    account, principal = entry.account, ticket.principal
    is_tenant = account.level == "tenant"
    marks = (principal.tenant.allowance if is_tenant else principal.allowance).alerts
    user_id = None if is_tenant else principal.user.id
    of = (account.id, account.level, principal.tenant.id, user_id, account.shards, marks, meters)
    return Settled(*of, cost_nano_usd, reading)
