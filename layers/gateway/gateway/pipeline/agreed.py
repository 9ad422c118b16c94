"""What hooks before a call leave of it: planned anew where they changed it, and enough held for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.hooks.subject import S
from gateway.model.errors import GatewayError
from gateway.model.tenant import Principal
from gateway.pipeline.enter import Plan
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.top_up import top_up
from gateway.ports import World

P = TypeVar("P", bound=Plan)


async def agreed(
    planned: P,
    request: S,
    plan: Callable[[S, Principal], Awaitable[P]],
    chain: Chain,
    exchange: Exchange,
    world: World,
) -> P:
    """Raises what hooks and `plan` do, BudgetExceeded (402), RateLimited (429) and AdmissionUnavailable (503)."""
    said = await chain.before(request)
    if said is request:
        return planned
    assert exchange.principal is not None  # noqa: S101 - it was admitted
    assert exchange.ticket is not None  # noqa: S101
    try:
        changed = await plan(said, exchange.principal)
        await top_up(exchange.ticket, changed.demand, world.clock.now_s())
    except GatewayError as error:
        error.message += " A hook of this tenant changed the request."
        raise
    return changed
