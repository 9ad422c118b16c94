"""Secrets with which sessions of voice begin where no key may be seen, as in a browser: made, and presented.

One is worth what the key is that it was made with, for its own model and a short time: at each session that key is
looked at as if it had come itself, so that with the key its secrets are revoked.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.model.client_secret import SECRET_PREFIX, ClientSecret, ClientSecretRequest, made, new_id, new_value
from gateway.model.errors import GatewayError, InvalidApiKey, InvalidRequest, PayloadTooLarge
from gateway.model.realtime import MAX_MESSAGE_BYTES, FunctionTool, SessionConfig
from gateway.model.realtime_call import RealtimeCall
from gateway.model.tenant import Principal
from gateway.pipeline.authenticate import bearer_of, caller_of, hash_of
from gateway.pipeline.decode import check_json_type
from gateway.pipeline.enter import enter_as
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.meters import Demand
from gateway.pipeline.realtime_read import in_our_words
from gateway.pipeline.route import REALTIME, Route, resolve
from gateway.pipeline.visit import NO_MODEL
from gateway.ports import Clock, World
from gateway.providers.contract import Target
from gateway.providers.lookup import realtime_wire
from gateway.realtime_ports import ClientSecrets

_REQUEST = msgspec.json.Decoder(ClientSecretRequest)


class Asked(msgspec.Struct, frozen=True):
    """What sessions are asked for, and for how long they may begin."""

    call: RealtimeCall
    lifetime_s: int

    @property
    def user(self) -> str | None:
        return self.call.user


class Granted(msgspec.Struct, frozen=True):
    asked: Asked
    demand: Demand = NO_MODEL


async def make(inbound: Inbound, exchange: Exchange, world: World, secrets: ClientSecrets) -> dict[str, Any]:
    """What the client receives. Raises InvalidRequest (400), PayloadTooLarge (413), UnsupportedMediaType (415), as
    `enter` and `resolve`, and StorageUnavailable (503).
    """
    exchange.asks_model, exchange.inbound = False, None  # whoever asks twice gets two, and neither costs anything
    caller = await caller_of(inbound.authorization, world)
    read, plan = partial(_read, inbound, exchange), partial(_grant, world=world)
    granted = await enter_as(caller, "realtime", read, plan, exchange, world)
    secret = ClientSecret(
        id=new_id(),
        call=granted.asked.call,
        expires_at_s=int(world.clock.now_s()) + granted.asked.lifetime_s,
        key_hash=caller.key_hash,
        token_key=caller.token_key,
    )
    value = new_value()
    await secrets.keep(hash_of(value), secret)
    exchange.about |= {"client_secret_id": secret.id, "expires_at_s": secret.expires_at_s}
    return made(value, secret)


async def presented(authorization: str, secrets: ClientSecrets, clock: Clock) -> ClientSecret | None:
    """None of what is no such secret. Raises InvalidApiKey (401), StorageUnavailable (503)."""
    value = bearer_of(authorization)
    if not value.startswith(SECRET_PREFIX):
        return None
    secret = await secrets.find(hash_of(value))
    if secret is None or clock.now_s() >= secret.expires_at_s:
        raise InvalidApiKey("This client secret is unknown, or has expired: make another one.")
    return secret


def _read(inbound: Inbound, exchange: Exchange) -> Asked:
    check_json_type(inbound.content_type)
    if len(inbound.body) > MAX_MESSAGE_BYTES:
        raise PayloadTooLarge(f"What a session begins with has at most {MAX_MESSAGE_BYTES:,} bytes.")
    request = in_our_words(inbound.body, _REQUEST)
    if (call := request.call) is None:
        raise InvalidRequest("Missing required parameter, at 'session.model'.", param="session.model")
    exchange.note(call)
    return Asked(call, request.expires_after.seconds)


async def _grant(asked: Asked, principal: Principal, *, world: World) -> Granted:
    try:
        route = resolve(REALTIME, asked.call.model, principal, world.catalog, world.clock.now_s())
    except GatewayError as refusal:
        refusal.param = "session.model"
        raise
    _check(asked.call.session, route)
    return Granted(asked)


def _check(config: SessionConfig, route: Route[str]) -> None:
    """Whoever asks for it is told, not the browser that begins with it. Tools become functions only in a session.

    Raises InvalidRequest, CapabilityNotSupported (400).
    """
    wire = realtime_wire(route.provider, route.facts.api)
    assert wire is not None  # noqa: S101 - its name is in the route
    functions = [tool for tool in config.tools or () if isinstance(tool, FunctionTool)]
    wire.check(replace(config, tools=functions), Target(route.provider.name, route.facts, ""))
