"""Whose key is this, and may it be used for that?"""

from __future__ import annotations

import hashlib
import re

import msgspec

from gateway.model.caller import Caller
from gateway.model.errors import GatewayError, InvalidApiKey, InvalidRequest, ScopeMissing, TenantDisabled
from gateway.model.tenant import USER_ID, Principal, Scope, User
from gateway.ports import World

KEY_PREFIX = "gwk_"
_USER_ID = re.compile(USER_ID)
_REFUSAL = "Missing or invalid API key. Send it as 'Authorization: Bearer <key>'."


async def caller_of(authorization: str | None, world: World) -> Caller:
    """Who the header says is calling. A token of the owner's identity provider is verified here, a key is not.

    A key is looked up by its hash, which needs no slow hash because a key has 256 random bits.
    Raises InvalidApiKey (401), AdmissionUnavailable (503).
    """
    credential = bearer_of(authorization)
    if not credential:
        raise InvalidApiKey(_REFUSAL)
    if not credential.startswith(KEY_PREFIX) and (caller := await world.tokens.verify(credential)) is not None:
        return caller
    return Caller(key_hash=hash_of(credential))


def key_hash_of(authorization: str | None) -> str | None:
    """By which the key in the header is found; None of anything that does not look like one."""
    credential = bearer_of(authorization)
    return hash_of(credential) if credential.startswith(KEY_PREFIX) else None


def bearer_of(authorization: str | None) -> str:
    """What comes after "Bearer"; empty for none."""
    scheme, _, credential = (authorization or "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def usable(principal: Principal | None, caller: Caller, scope: Scope | None, now_s: float) -> Principal:
    """The principal, if it may be used now and for that; None is for anything at all.

    Raises InvalidApiKey (401), TenantDisabled and ScopeMissing (403), InvalidRequest (400) for a user whom nobody
    could administer.
    """
    if principal is None:
        raise InvalidApiKey(_REFUSAL)
    if not principal.key.is_usable(now_s):
        is_revoked = principal.key.status == "revoked"
        raise InvalidApiKey(_REFUSAL, reason="The key is revoked." if is_revoked else "The key has expired.")
    if principal.tenant.status != "active":
        raise TenantDisabled("This tenant is disabled.")
    _check_user(principal, caller)
    if principal.user.status != "active":
        raise TenantDisabled("This user is disabled.")
    if scope is not None and not principal.key.allows(scope):
        raise ScopeMissing(f"This key is not for {scope}.")
    return principal


def _check_user(principal: Principal, caller: Caller) -> None:
    """Whether the key may name that user."""
    if caller.user_id in (None, principal.key.user_id):
        return
    if not principal.key.allows("assert_user"):
        raise ScopeMissing("Only a key with the scope assert_user may name another user.", param="user")
    if not _USER_ID.fullmatch(caller.user_id or ""):
        raise InvalidRequest("A user's id has up to 256 visible ASCII characters, no blanks.", param="user")


def attributed(principal: Principal | None, caller: Caller) -> Principal | None:
    """Whose a request is that may yet be refused: the key's own user's, where it may not be the one's that it names."""
    if principal is None:
        return None
    try:
        _check_user(principal, caller)
    except GatewayError:
        return msgspec.structs.replace(principal, user=User(id=principal.key.user_id))
    return principal
