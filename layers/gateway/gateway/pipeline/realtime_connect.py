"""A client at the door of a session of voice: who it is, for which model, whether there is room; then it is written
down and a function is asked to hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from gateway.hooks.realtime import RealtimeRequest
from gateway.model.errors import InvalidRequest
from gateway.model.realtime import SessionConfig
from gateway.model.realtime_call import RealtimeCall, Terms
from gateway.model.realtime_session import Admitted, Grant, Link, new_session_id
from gateway.model.tenant import Principal
from gateway.pipeline.agree import agreed
from gateway.pipeline.authenticate import key_hash_of
from gateway.pipeline.decode import decoded
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import held_of
from gateway.pipeline.hooks import Chain
from gateway.pipeline.meters import Demand
from gateway.pipeline.realtime_demand import LATE_S, demand_of_next, most_output_tokens
from gateway.pipeline.realtime_secret import PREFIX as SECRET
from gateway.pipeline.realtime_secret import GrantedToken, granted
from gateway.pipeline.route import REALTIME, Route, resolve
from gateway.ports import World
from gateway.realtime_ports import Voice

PROTOCOL = "realtime"
KEY_PROTOCOL = "openai-insecure-api-key."
"""Browsers cannot set headers of a WebSocket, so OpenAI's clients in browsers put the credential among the protocols:
https://developers.openai.com/api/docs/guides/realtime-websocket (2026-11)"""
_CALL = msgspec.json.Decoder(RealtimeCall)


@dataclass(frozen=True, slots=True)
class Handshake:
    """`model`: of the URL, "" without one. `authorization`: the header. `protocols`: those that the client offers."""

    link: Link
    model: str
    authorization: str = ""
    protocols: Sequence[str] = ()

    @property
    def credential(self) -> str:
        """As the header would have it."""
        if self.authorization:
            return self.authorization
        offered = [one.removeprefix(KEY_PROTOCOL) for one in self.protocols if one.startswith(KEY_PROTOCOL)]
        return f"Bearer {offered[0]}" if offered else ""

    @property
    def protocol(self) -> str | None:
        """The one of those offered that is spoken: never the one with the credential."""
        return PROTOCOL if PROTOCOL in self.protocols else None


@dataclass(frozen=True, slots=True)
class RealtimePlan:
    """`route`: its wire is the name of one."""

    call: RealtimeCall
    route: Route[str]
    demand: Demand


def read_realtime_call(body: bytes) -> RealtimeCall:
    """Raises InvalidRequest (400)."""
    return decoded(body, _CALL)


async def connect(handshake: Handshake, exchange: Exchange, terms: Terms, world: World, voice: Voice) -> Admitted:
    """Raises InvalidRequest (400), as `enter`, `resolve` and `Chain.before`, and StorageUnavailable (503)."""
    grant, door = None, world
    if (secret := handshake.credential.partition(" ")[2].strip()).startswith(SECRET):
        grant = await granted(secret, world.clock.now_s(), voice.grants)
        door = replace(world, tokens=GrantedToken(grant))
    plan, read = partial(planned, terms=terms, world=world), partial(_read, handshake, grant, exchange)
    entered = await enter(handshake.credential, "realtime", read, plan, exchange, door)
    chain = Chain(exchange, world)
    entered = await agreed(entered, RealtimeRequest(entered.call, read_realtime_call), plan, chain, exchange, world)
    await exchange.left()
    key_hash = key_hash_of(handshake.credential) if grant is None else grant.key_hash
    admitted = _admitted(entered.call, handshake.link, key_hash, exchange, terms, world)
    await voice.sessions.create(admitted, world.clock.now_s())
    await voice.holders.start(admitted.connection_id, 1)
    return admitted


def _read(handshake: Handshake, grant: Grant | None, exchange: Exchange) -> RealtimeCall:
    model = handshake.model or (grant.model if grant else "")
    if not model:
        raise InvalidRequest("Name the model in the URL, as in ?model=gpt-realtime.", param="model")
    if grant is not None and model != grant.model:
        raise InvalidRequest(f"This client secret is for sessions with {grant.model}.", param="model")
    call = RealtimeCall(model=model, session=grant.session if grant else SessionConfig())
    exchange.note(call, stream=True)
    return call


async def planned(call: RealtimeCall, principal: Principal, *, terms: Terms, world: World) -> RealtimePlan:
    """Raises as `resolve`, and PriceUnknown (400)."""
    route = resolve(REALTIME, call.model, principal, world.catalog, world.clock.now_s())
    demand = demand_of_next(
        route,
        principal,
        spent_nano_usd=0,
        context_tokens=0,
        output_tokens=most_output_tokens(call.session, route, principal),
        lease_s=terms.longest_s + LATE_S,
    )
    return RealtimePlan(call, route, demand)


def _admitted(
    call: RealtimeCall, link: Link, key_hash: str | None, exchange: Exchange, terms: Terms, world: World
) -> Admitted:
    principal = exchange.principal
    assert principal is not None  # noqa: S101 - it was admitted
    return Admitted(
        id=new_session_id(),
        link=link,
        request_id=exchange.request_id,
        tenant_id=principal.tenant.id,
        user_id=principal.user.id,
        key_id=principal.key.id,
        model=call.model,
        trace_id=exchange.trace.id,
        arrived_s=exchange.arrived_s,
        ends_s=exchange.arrived_s + terms.longest_s,
        held=held_of(exchange, world),
        scopes=principal.key.scopes,
        models=principal.key.models,
        key_hash=key_hash,
        config=call.session,
    )
