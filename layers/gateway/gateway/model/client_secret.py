"""What lets a browser begin sessions of voice without a key: as it is asked for, and as it is kept by its hash.

The shape is OpenAI's: https://developers.openai.com/api/reference/resources/realtime/subresources/client_secrets
(2026-11).
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, to_builtins
from msgspec.structs import replace

from gateway.model.call import Metadata
from gateway.model.caller import Caller
from gateway.model.realtime import SessionConfig
from gateway.model.realtime_call import RealtimeCall
from gateway.model.tenant import ApiKey
from gateway.model.wire import Inbound

SECRET_PREFIX = "ek_"  # noqa: S105 - what all of them begin with
LIFETIME_S = 60


class ExpiresAfter(Inbound, frozen=True, kw_only=True):
    """`seconds`: for which sessions may begin; within OpenAI's bounds."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=10, le=7_200)] = LIFETIME_S


class ClientSecretRequest(Inbound, frozen=True, kw_only=True):
    """`session`: what its sessions begin with; the model is in it. `user`: whom they are for, when that is not the
    key's own user. `metadata`: as of any call.
    """

    session: SessionConfig
    expires_after: ExpiresAfter = ExpiresAfter()
    user: Annotated[str, Meta(max_length=256)] | None = None
    metadata: Metadata | None = None

    @property
    def call(self) -> RealtimeCall | None:
        """What its sessions are; None where no model is named."""
        model = self.session.model
        if model is UNSET or not model:
            return None
        config = replace(self.session, model=UNSET)
        return RealtimeCall(model=model, session=config, user=self.user, metadata=self.metadata)


class ClientSecret(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`id`: by which it may be spoken of. `key_hash`: of the key that it was made with, which may be revoked before its
    own end; or `token_key`: what the token said that it was made with. `expires_at_s`: Unix seconds, from which no
    session begins any more.
    """

    id: str
    call: RealtimeCall
    expires_at_s: int
    key_hash: str = ""
    token_key: ApiKey | None = None

    @property
    def caller(self) -> Caller:
        return Caller(key_hash=self.key_hash, token_key=self.token_key)


def new_id() -> str:
    """OpenAI's clients expect that of a session, of which there may be several, or none."""
    return f"sess_{secrets.token_hex(16)}"


def new_value() -> str:
    """256 random bits."""
    return f"{SECRET_PREFIX}{secrets.token_urlsafe(32)}"


def made(value: str, secret: ClientSecret) -> dict[str, Any]:
    """What the client receives, this once."""
    session = {"type": "realtime", "object": "realtime.session", "id": secret.id, "model": secret.call.model}
    config = to_builtins(secret.call.session)
    return {"value": value, "expires_at": secret.expires_at_s, "session": {**config, **session}}
