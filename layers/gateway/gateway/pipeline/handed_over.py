"""A request that ends in a job hands over what is held for it; whoever ends the job settles that, wherever it runs."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.ledger import Hold, Level, Reading
from gateway.model.tenant import Principal
from gateway.pipeline.admit import Entry, Ticket
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.meters import Demand, account_of
from gateway.ports import World


class HeldEntry(msgspec.Struct, frozen=True):
    level: Level
    shard: int
    hold: Hold


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


def held_of(exchange: Exchange, world: World) -> dict[str, Any]:
    """The request's ticket as a job's record keeps it. What only this environment counts cannot be handed over, and is
    settled here; but where the job's cost belongs is kept.
    """
    ticket = exchange.ticket
    assert ticket is not None  # noqa: S101 - it was admitted
    entries = [entry for entry in ticket.entries if entry.may_be_held] if ticket.ledger is world.ledger else []
    held = Held(
        name=ticket.name,
        model_id=ticket.demand.model_id,
        tokens=ticket.demand.tokens,
        cost_nano_usd=ticket.demand.cost_nano_usd,
        lease_s=ticket.demand.lease_s,
        admitted_s=ticket.admitted_s,
        entries=tuple(HeldEntry(entry.account.level, _shard(entry.account.id), entry.hold) for entry in entries),
        later=ticket.later,
    )
    kept: dict[str, Any] = msgspec.to_builtins(held)
    return kept


def ticket_of(kept: dict[str, Any], principal: Principal, world: World) -> Ticket:
    """`principal`: whom it was held for, with the limits of today."""
    held = msgspec.convert(kept, Held)
    demand = Demand(held.model_id, held.tokens, held.cost_nano_usd, held.lease_s)
    entries = [
        Entry(account_of(one.level, principal, demand, held.admitted_s, one.shard), Reading(), one.hold)
        for one in held.entries
    ]
    return Ticket(held.name, demand, principal, world.ledger, held.admitted_s, entries, later=held.later)


def _shard(account_id: str) -> int:
    return int(account_id.split("#", 3)[2])
