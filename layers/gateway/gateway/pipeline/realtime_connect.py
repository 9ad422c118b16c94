"""A client at the door of a session of voice: who it is, for which model, whether there is room; then it is written
down and a function is asked to hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from gateway.hooks.realtime import RealtimeRequest
from gateway.model.caller import Caller
from gateway.model.client_secret import ClientSecret
from gateway.model.errors import InvalidRequest
from gateway.model.realtime_call import RealtimeCall, Terms
from gateway.model.realtime_session import Admitted, Link, new_session_id
from gateway.model.tenant import Principal
from gateway.pipeline.agree import agreed
from gateway.pipeline.authenticate import caller_of
from gateway.pipeline.client_secret import presented
from gateway.pipeline.decode import decoded
from gateway.pipeline.enter import enter_as
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import held_of
from gateway.pipeline.hooks import Chain
from gateway.pipeline.meters import Demand
from gateway.pipeline.realtime_demand import LATE_S, configured_tokens, demand_of_next, most_output_tokens
from gateway.pipeline.route import REALTIME, Route, resolve
from gateway.ports import World
from gateway.realtime_ports import Voice

PROTOCOL = "realtime"
KEY_PROTOCOL = "openai-insecure-api-key."
"""Browsers cannot set headers of a WebSocket, so OpenAI's clients in browsers put the credential among the protocols:
https://developers.openai.com/api/docs/guides/realtime-websocket (2026-11)"""
_CALL = msgspec.json.Decoder(RealtimeCall)


class Handshake(msgspec.Struct, frozen=True):
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


class RealtimePlan(msgspec.Struct, frozen=True):
    """`route`: its wire is the name of one."""

    call: RealtimeCall
    route: Route[str]
    demand: Demand


def read_realtime_call(body: bytes) -> RealtimeCall:
    """Raises InvalidRequest (400)."""
    return decoded(body, _CALL)


async def connect(handshake: Handshake, exchange: Exchange, terms: Terms, world: World, voice: Voice) -> Admitted:
    """Raises InvalidRequest (400), StorageUnavailable (503), and as `presented`, `enter`, `resolve`, `Chain.before`."""
    secret = await presented(handshake.credential, voice.secrets, world.clock)
    caller = await caller_of(handshake.credential, world) if secret is None else secret.caller
    plan, read = partial(planned, terms=terms, world=world), partial(_read, handshake, secret, exchange)
    entered = await enter_as(caller, "realtime", read, plan, exchange, world)
    chain = Chain(exchange, world)
    entered = await agreed(entered, RealtimeRequest(entered.call, read_realtime_call), plan, chain, exchange, world)
    await exchange.left()
    admitted = _admitted(entered.call, caller, handshake.link, exchange, terms, world)
    await voice.sessions.create(admitted, world.clock.now_s())
    await voice.holders.start(admitted.connection_id, 1)
    return admitted


def _read(handshake: Handshake, secret: ClientSecret | None, exchange: Exchange) -> RealtimeCall:
    if not handshake.model and secret is None:
        raise InvalidRequest("Name the model in the URL, as in ?model=gpt-realtime.", param="model")
    call = RealtimeCall(model=handshake.model) if secret is None else secret.call
    if handshake.model not in ("", call.model):
        raise InvalidRequest(f"This client secret is for the model '{call.model}'.", param="model")
    exchange.note(call, stream=True)
    return call


async def planned(call: RealtimeCall, principal: Principal, *, terms: Terms, world: World) -> RealtimePlan:
    """Raises as `resolve`, and PriceUnknown (400)."""
    route = resolve(REALTIME, call.model, principal, world.catalog, world.clock.now_s())
    demand = demand_of_next(
        route,
        principal,
        spent_nano_usd=0,
        context_tokens=configured_tokens(call.session),
        output_tokens=most_output_tokens(call.session, route, principal),
        lease_s=terms.longest_s + LATE_S,
    )
    return RealtimePlan(call, route, demand)


def _admitted(
    call: RealtimeCall, caller: Caller, link: Link, exchange: Exchange, terms: Terms, world: World
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
        key_hash=caller.key_hash or None,
        conversation_id=exchange.conversation_id,
        config=call.session,
    )
