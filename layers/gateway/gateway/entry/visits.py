"""The way into the functions that ask no model, and out of them: limits before, records after, as for all else."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from msgspec import Struct
from starlette.responses import Response

from gateway.entry.http import Arrival
from gateway.entry.limit_headers import limit_headers
from gateway.model.tenant import Scope
from gateway.pipeline.conclude import close
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.visit import Visit, let_in, recognise
from gateway.ports import World


class Reception(Struct, frozen=True):
    """Of one application. `scope`: what a key has to be for. `is_quiet`: whether what it lets in leaves no record.
    `is_limited`: whether that counts in limits.
    """

    world: World
    scope: Scope
    is_quiet: bool = False
    is_limited: bool = True


async def _visit(request: Request) -> Visit:
    """Before anything else of the request is looked at. Its operation is the scope and its route's name."""
    reception: Reception = request.app.state.reception
    arrival: Arrival = request.state.arrival
    clock = reception.world.clock
    request.state.exchange = exchange = Exchange(
        arrival.request_id,
        f"{reception.scope}.{request.scope['route'].name}",
        started_s=clock.monotonic_s(),
        trace=arrival.trace,
        lambda_request_id=arrival.lambda_request_id,
        arrived_s=clock.now_s(),
        is_quiet=reception.is_quiet,
    )
    way_in = let_in if reception.is_limited else recognise
    return await way_in(request.headers.get("authorization"), reception.scope, exchange, reception.world)


Visiting = Annotated[Visit, Depends(_visit)]


async def see_out(request: Request, response: Response) -> None:
    """Tells and settles a visit that has its answer, and says what is left of its limits."""
    exchange: Exchange | None = request.state.exchange
    if exchange is None:
        return
    exchange.error, exchange.status = request.state.error, response.status_code
    response.headers.update(limit_headers(exchange.ticket))
    world = request.app.state.reception.world
    exchange.ended_s = world.clock.monotonic_s()
    await close(exchange, world)
