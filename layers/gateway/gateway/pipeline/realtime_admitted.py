"""A session's request in another function than the one that let it in."""

from __future__ import annotations

from gateway.model.caller import Caller
from gateway.model.realtime_session import Admitted
from gateway.model.tenant import ApiKey, Principal, Tenant, User
from gateway.model.trace import Trace
from gateway.pipeline.authenticate import usable
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import take_as_it_stands, ticket_of
from gateway.ports import World


async def exchange_of(admitted: Admitted, world: World) -> Exchange:
    """The request as if it had lasted until now, with what is held for it by now. Raises AdmissionUnavailable (503)."""
    clock = world.clock
    principal = await _principal_of(admitted, world)
    ticket = ticket_of(admitted.held, principal, world)
    await take_as_it_stands(ticket)
    lasted_s = max(0.0, clock.now_s() - admitted.arrived_s)
    return Exchange(
        admitted.request_id,
        "realtime",
        clock.monotonic_s() - lasted_s,
        trace=Trace(admitted.trace_id, is_sampled=False),
        arrived_s=admitted.arrived_s,
        principal=principal,
        model_requested=admitted.model,
        conversation_id=admitted.conversation_id,
        stream=True,
        ticket=ticket,
    )


def is_settled(admitted: Admitted, exchange: Exchange) -> bool:
    """Nothing of what was held for it still is: it has ended, though nobody could write that down."""
    ticket = exchange.ticket
    return bool(admitted.held["entries"]) and ticket is not None and not ticket.entries


async def still_usable(admitted: Admitted, world: World) -> Principal:
    """Raises as `usable`, AdmissionUnavailable (503)."""
    caller = _caller_of(admitted)
    return usable(await world.access.read(caller), caller, "realtime", world.clock.now_s())


async def _principal_of(admitted: Admitted, world: World) -> Principal:
    """As tenant and user are set now. What was deleted meanwhile counts as disabled: what is held is settled all the
    same.
    """
    found = await world.access.read(_caller_of(admitted))
    if found is not None:
        return found
    tenant, user = Tenant(id=admitted.tenant_id, status="disabled"), User(id=admitted.user_id)
    return Principal(key=_key_of(admitted), tenant=tenant, user=user)


def _caller_of(admitted: Admitted) -> Caller:
    """With its user, who may be another one than the key's own."""
    if admitted.key_hash is None:
        return Caller(token_key=_key_of(admitted), user_id=admitted.user_id)
    return Caller(key_hash=admitted.key_hash, user_id=admitted.user_id)


def _key_of(admitted: Admitted) -> ApiKey:
    return ApiKey(
        id=admitted.key_id,
        tenant_id=admitted.tenant_id,
        user_id=admitted.user_id,
        scopes=admitted.scopes,
        models=admitted.models,
    )
