"""Client secrets: what a server gives a browser in place of its key, good for a minute and for one kind of session."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta
from msgspec.structs import replace

from gateway.model.caller import Caller
from gateway.model.chat import Json
from gateway.model.errors import GatewayError, InvalidApiKey, InvalidRequest
from gateway.model.realtime import SessionConfig, SessionUpdate
from gateway.model.realtime_session import Grant, new_session_id
from gateway.model.tenant import ApiKey, Principal
from gateway.model.wire import Inbound as Said
from gateway.pipeline.authenticate import key_hash_of
from gateway.pipeline.decode import decoded
from gateway.pipeline.realtime_read import read_event
from gateway.pipeline.route import REALTIME, resolve
from gateway.ports import World
from gateway.realtime_ports import Grants

PREFIX = "ek_"
"""As OpenAI's begin."""
USUAL_S, MOST_S = 60, 600
REFUSED = "Missing or invalid client secret. One is good for the seconds that it was asked for."


class ExpiresAfter(Said, frozen=True, kw_only=True):
    seconds: Annotated[int, Meta(ge=10, le=MOST_S)] = USUAL_S
    anchor: Literal["created_at"] = "created_at"


class _Asked(Said, frozen=True, kw_only=True):
    session: msgspec.Raw
    expires_after: ExpiresAfter = ExpiresAfter()


_ASKED = msgspec.json.Decoder(_Asked)


async def client_secret(body: bytes, authorization: str, principal: Principal, world: World, grants: Grants) -> Json:
    """As OpenAI answers. Raises InvalidRequest (400), as `resolve`, and StorageUnavailable (503)."""
    asked = decoded(body, _ASKED)
    config, now_s = _config_of(bytes(asked.session)), world.clock.now_s()
    if config.model is UNSET:
        raise InvalidRequest("Name the model of the session.", param="session.model")
    _check_model(config.model, principal, world)
    secret = PREFIX + secrets.token_urlsafe(32)
    ends_s = int(now_s) + asked.expires_after.seconds
    grant = Grant(
        tenant_id=principal.tenant.id,
        user_id=principal.user.id,
        key_id=principal.key.id,
        model=config.model,
        ends_s=ends_s,
        session=replace(config, model=UNSET),
        scopes=principal.key.scopes,
        models=principal.key.models,
        key_hash=key_hash_of(authorization),
    )
    await grants.put(hash_of(secret), grant)
    session = {"id": new_session_id(), "object": "realtime.session", "type": "realtime"}
    return {"value": secret, "expires_at": ends_s, "session": {**msgspec.to_builtins(config), **session}}


def _check_model(model: str, principal: Principal, world: World) -> None:
    try:
        resolve(REALTIME, model, principal, world.catalog, world.clock.now_s())
    except GatewayError as refused:
        refused.param = "session.model"
        raise


async def granted(secret: str, now_s: float, grants: Grants) -> Grant:
    """Raises InvalidApiKey (401), StorageUnavailable (503)."""
    grant = await grants.find(hash_of(secret), now_s)
    if grant is None:
        raise InvalidApiKey(REFUSED)
    return grant


class GrantedToken:
    """The client secret of one request, as a token of whoever got it."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    async def verify(self, _token: str) -> Caller:
        grant = self._grant
        if grant.key_hash is not None:
            return Caller(key_hash=grant.key_hash)
        key = ApiKey(
            id=grant.key_id,
            tenant_id=grant.tenant_id,
            user_id=grant.user_id,
            scopes=grant.scopes,
            models=grant.models,
        )
        return Caller(token_key=key)


def hash_of(secret: str) -> str:
    """A secret has 256 random bits, so that it needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _config_of(session: bytes) -> SessionConfig:
    """By the same rules as when it is changed in the session."""
    event = read_event(b'{"type": "session.update", "session": ' + session + b"}")
    assert isinstance(event, SessionUpdate)  # noqa: S101 - it says so
    return event.session
