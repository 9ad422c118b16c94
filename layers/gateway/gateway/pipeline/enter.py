"""The first steps of every request: who asks, for what, may they, and is there room. One round trip when all is known.

A key, its tenant and its user are remembered from request to request. A request is planned with what is remembered,
and while its accounts are written the key, tenant and user are read anew, always: what is found then counts. So a key
that was revoked is refused at its next request, and nothing waits for a read of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from gateway.model.caller import Caller
from gateway.model.errors import AdmissionUnavailable, GatewayError
from gateway.model.tenant import Principal, Scope
from gateway.pipeline.admit import Ticket, give_back, take
from gateway.pipeline.authenticate import attributed, caller_of, usable
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.job_claim import ordered_before
from gateway.pipeline.meters import Demand
from gateway.pipeline.once import claim_once
from gateway.pipeline.top_up import top_up_for_any
from gateway.ports import World


class Call(Protocol):
    """What a body says. `user`: whom the call is made for, when that is not the key's own user."""

    @property
    def user(self) -> str | None: ...


class Plan(Protocol):
    """A call made ready for one principal, with the most that it can use."""

    @property
    def demand(self) -> Demand: ...


AGAIN = 1
"""The admission after the one by memory, which may have been undone."""
C = TypeVar("C", bound=Call)
P = TypeVar("P", bound=Plan)
Planning = Callable[[C, Principal], Awaitable[P]]


async def enter(
    authorization: str | None,
    scope: Scope,
    read: Callable[[], C],
    plan: Planning[C, P],
    exchange: Exchange,
    world: World,
) -> P:
    """The plan of a request that is admitted; its ticket is in the exchange.

    `read` reads the body, `plan` resolves and checks the call for a principal; both only look. Raises what they raise,
    what `usable` and `claim_once` do, BudgetExceeded (402), RateLimited (429) and AdmissionUnavailable (503). A job was
    admitted when it was accepted, as was a batch with its lines, and is only planned; where it has become dearer since,
    that is held as well. For one that was ordered before nothing is held, as `ordered_before` says.
    """
    if exchange.is_admitted:
        assert exchange.principal is not None  # noqa: S101 - it was somebody's who was let in
        anew = await plan(read(), exchange.principal)
        if exchange.ticket is not None:
            await top_up_for_any(exchange.ticket, anew.demand, world.clock.now_s())
        return anew
    return await enter_as(await caller_of(authorization, world), scope, read, plan, exchange, world)


async def enter_as(
    caller: Caller, scope: Scope, read: Callable[[], C], plan: Planning[C, P], exchange: Exchange, world: World
) -> P:
    """As `enter`, where it is known who says to be calling."""
    entrance = _Entrance(caller, scope, exchange, world)
    try:
        call = read()
    except GatewayError:
        await entrance.identified()  # a stranger is told nothing but that
        raise
    entrance.caller = entrance.caller.naming(call.user)
    if (known := await entrance.ordered_before(call, plan)) is not None:
        return known
    remembered = world.access.remembered(entrance.caller)
    if remembered is not None and (planned := await entrance.by_memory(remembered, call, plan)) is not None:
        return planned
    return await entrance.anew(call, plan)


class _Entrance:
    """One request at the door."""

    def __init__(self, caller: Caller, scope: Scope, exchange: Exchange, world: World) -> None:
        self.caller = caller
        self._scope, self._exchange, self._world = scope, exchange, world

    async def identified(self) -> Principal:
        return self._usable(await self._world.access.read(self.caller))

    async def ordered_before(self, call: C, plan: Planning[C, P]) -> P | None:
        """The plan of an order that comes again: its job has all that it needs, so nothing is taken for it."""
        exchange, inbound = self._exchange, self._exchange.inbound
        if not exchange.is_async or inbound is None or not inbound.idempotency_key:
            return None
        tenant_id = (await self.identified()).tenant.id
        exchange.ordered = job = await ordered_before(inbound, tenant_id, self._world)
        if job is None:
            return None
        exchange.job_id = job.id
        assert exchange.principal is not None  # noqa: S101 - it was identified
        return await plan(call, exchange.principal)

    async def by_memory(self, principal: Principal, call: C, plan: Planning[C, P]) -> P | None:
        """None when what is remembered no longer holds. A refusal counts only if it does."""
        try:
            self._usable(principal)
            planned = await plan(call, principal)
        except GatewayError:
            if await self._read_again(principal) != principal:
                return None
            raise
        ticket, found, *claimed = await asyncio.gather(
            self._take(planned, principal),
            self._read_again(principal),
            *self._claims(planned, principal),
            return_exceptions=True,
        )
        if isinstance(ticket, BaseException):
            raise ticket
        self._exchange.ticket = ticket
        if isinstance(found, BaseException):
            raise found
        if found != principal:
            await give_back(ticket)
            return None
        return await self._admitted(planned, ticket, claimed)

    async def _read_again(self, remembered: Principal) -> Principal | None:
        """As it is now. Where nobody can tell, as it was a moment ago, if its tenant wants to go on without."""
        try:
            return await self._world.access.read(self.caller)
        except AdmissionUnavailable as error:
            recent = self._world.access.recent(self.caller)
            if remembered.tenant.without_ledger != "local" or recent != remembered:
                raise
            self._world.records.trouble("access.by_memory", tenant_id=remembered.tenant.id, reason=error.message)
            return remembered

    async def anew(self, call: C, plan: Planning[C, P]) -> P:
        self._exchange.principal = self._exchange.ticket = None
        principal = await self.identified()
        planned = await plan(call, principal)
        ticket, *claimed = await asyncio.gather(
            self._take(planned, principal, AGAIN), *self._claims(planned, principal), return_exceptions=True
        )
        if isinstance(ticket, BaseException):
            raise ticket
        self._exchange.ticket = ticket
        return await self._admitted(planned, ticket, claimed)

    def _usable(self, principal: Principal | None) -> Principal:
        """One that is refused is known all the same, and told of."""
        self._exchange.principal = attributed(principal, self.caller)
        return usable(principal, self.caller, self._scope, self._world.clock.now_s())

    async def _take(self, planned: Plan, principal: Principal, admission: int = 0) -> Ticket:
        exchange = self._exchange
        demand = replace(planned.demand, is_job=exchange.becomes_job)
        return await take(exchange.request_id, demand, principal, exchange.facts(), self._world, admission)

    def _claims(self, planned: Plan, principal: Principal) -> Iterator[Coroutine[Any, Any, None]]:
        """One, of a request with an Idempotency-Key."""
        if self._exchange.inbound is not None and self._exchange.inbound.idempotency_key:
            yield claim_once(principal, planned.demand.lease_s, self._exchange, self._world)

    async def _admitted(self, planned: P, ticket: Ticket, claimed: Sequence[BaseException | None]) -> P:
        """Who comes again is told of the first request, and not that there is no room for another."""
        for refusal in filter(None, claimed):
            raise refusal
        if self._exchange.ordered is not None:
            self._exchange.job_id, self._exchange.ticket = self._exchange.ordered.id, None
            await give_back(ticket)
        elif ticket.refusal is not None:
            raise ticket.refusal
        return planned
