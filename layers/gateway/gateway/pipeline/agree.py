"""What the hooks before a call make of its plan."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from gateway.hooks.subject import Subject
from gateway.model.errors import GatewayError
from gateway.pipeline.enter import P, Planning
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.once import asks_now
from gateway.pipeline.top_up import top_up
from gateway.ports import World


class Asking(Subject, Protocol):
    """A request as hooks see it, of a call."""

    @property
    def call(self) -> Any: ...


A = TypeVar("A", bound=Asking)


async def agreed(planned: P, request: A, plan: Planning[Any, P], chain: Chain, exchange: Exchange, world: World) -> P:
    """The plan as the hooks leave it, and enough held for it. What they change is planned anew. A job's worker may have
    found another model to be the first than the request that ordered it did: its rules hold as well.

    Raises as `Chain.before`, `asks_now`, `plan` and `top_up`.
    """
    found = await chain.before(request)
    await asks_now(exchange, world)
    ticket = exchange.ticket
    if found is request:
        if ticket is not None and planned.demand.model_id != ticket.demand.model_id:
            await top_up(ticket, planned.demand, world.clock.now_s())
        return planned
    assert exchange.principal is not None  # noqa: S101 - it was admitted
    assert ticket is not None  # noqa: S101
    try:
        changed = await plan(found.call, exchange.principal)
        await top_up(ticket, changed.demand, world.clock.now_s())
    except GatewayError as error:
        error.message += " A hook of this tenant changed the request."
        raise
    return changed
