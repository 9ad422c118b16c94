"""What the hooks before a call make of its plan."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from gateway.hooks.subject import Subject
from gateway.model.errors import GatewayError
from gateway.pipeline.enter import P, Planning
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.once import asks_now
from gateway.pipeline.top_up import top_up_for_any
from gateway.ports import World


class Asking(Subject, Protocol):
    """A request as hooks see it, of a call."""

    @property
    def call(self) -> Any: ...


A = TypeVar("A", bound=Asking)


async def agreed(planned: P, request: A, plan: Planning[Any, P], chain: Chain, exchange: Exchange, world: World) -> P:
    """The plan as the hooks leave it, and enough held for it. What they change is planned anew.

    Raises as `Chain.before`, `asks_now`, `plan` and `top_up_for_any`.
    """
    found = await chain.before(request)
    await asks_now(exchange, world)
    if found is request:
        return planned
    assert exchange.principal is not None  # noqa: S101 - it was admitted
    assert exchange.ticket is not None  # noqa: S101
    try:
        changed = await plan(found.call, exchange.principal)
        await top_up_for_any(exchange.ticket, changed.demand, world.clock.now_s())
    except GatewayError as error:
        error.message += " A hook of this tenant changed the request."
        raise
    return changed
