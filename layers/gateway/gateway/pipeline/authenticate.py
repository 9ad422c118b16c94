"""Step 1: whose key is this?"""

from __future__ import annotations

import hashlib

from gateway.model.errors import InvalidApiKey, TenantDisabled
from gateway.model.tenant import Principal
from gateway.ports import World

_REFUSAL = "Missing or invalid API key. Send it as 'Authorization: Bearer <key>'."


async def authenticate(authorization: str | None, world: World) -> Principal:
    """The holder of the bearer key.

    The key is looked up by its hash, which needs no slow hash because a key has 256 random bits.
    Raises InvalidApiKey (401), TenantDisabled (403), AdmissionUnavailable (503).
    """
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise InvalidApiKey(_REFUSAL)
    principal = await world.keys.find(hashlib.sha256(key.encode()).hexdigest())
    if principal is None or principal.key_status != "active" or _expired(principal, world.clock.now_s()):
        raise InvalidApiKey(_REFUSAL)
    if principal.tenant.status != "active":
        raise TenantDisabled("This tenant is disabled.")
    return principal


def _expired(principal: Principal, now_s: float) -> bool:
    return principal.expires_at_s is not None and principal.expires_at_s <= now_s
