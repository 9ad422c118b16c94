"""A request that asks no model: it counts in the limits of its tenant and user, and costs nothing."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.model.caller import Caller
from gateway.model.tenant import Principal, Scope
from gateway.model.units import FILE_BYTES
from gateway.pipeline.authenticate import attributed, caller_of, usable
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.meters import Demand
from gateway.ports import World

NO_MODEL = Demand(model_id="", tokens=0, cost_nano_usd=0, lease_s=30.0)
"""The functions that take such requests are ended after 29 seconds."""


class Visit(Struct, frozen=True):
    """One that was let in."""

    principal: Principal
    exchange: Exchange
    demand: Demand = NO_MODEL

    @property
    def tenant_id(self) -> str:
        return self.principal.tenant.id

    def note(self, **about: Any) -> None:
        """What it is about, for the audit: ids, never content."""
        self.exchange.about.update(about)

    def note_bytes(self, size_bytes: int) -> None:
        """Of the file that it stored, or gave out."""
        self.exchange.units[FILE_BYTES] = size_bytes


class _Nothing:
    """What its body says of who is calling."""

    user = None


async def let_in(authorization: str | None, scope: Scope, exchange: Exchange, world: World) -> Visit:
    """Raises what `usable` does, RateLimited (429) and AdmissionUnavailable (503)."""

    async def plan(_: _Nothing, principal: Principal) -> Visit:
        return Visit(principal, exchange)

    exchange.asks_model = False
    return await enter(authorization, scope, _Nothing, plan, exchange, world)


async def recognise(authorization: str | None, scope: Scope, exchange: Exchange, world: World) -> Visit:
    """For what counts in no limit: a job that runs takes a place itself, and looking at it must not need another.

    Raises what `usable` does, AdmissionUnavailable (503).
    """
    exchange.asks_model = False
    return Visit(await identified(await caller_of(authorization, world), scope, exchange, world), exchange)


async def identified(caller: Caller, scope: Scope | None, exchange: Exchange, world: World) -> Principal:
    """Whoever it is, the exchange is his. Raises what `usable` does, AdmissionUnavailable (503)."""
    known = await world.access.read(caller)
    exchange.principal = attributed(known, caller)
    return usable(known, caller, scope, world.clock.now_s())
