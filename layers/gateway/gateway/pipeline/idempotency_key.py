"""An Idempotency-Key as it is stored, and the request that it came with."""

from __future__ import annotations

import re
from hashlib import sha256

from gateway.model.claim import KEPT_S, Claim, Claimed
from gateway.model.errors import InvalidRequest
from gateway.pipeline.inbound import Inbound

MAX_KEY = 255
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)


def claim_of(inbound: Inbound, tenant_id: str, request_id: str, now_s: float) -> Claimed:
    """What the request claims; whoever answers it again leaves no moment in which another may have the key.

    Raises InvalidRequest (400) for a key that is too long.
    """
    claim = Claim(
        request_hash=request_hash(inbound), request_id=request_id, ends_at_s=int(now_s) + KEPT_S, is_asked=True
    )
    return Claimed(tenant_id, key_hash(inbound), claim)


def key_hash(inbound: Inbound) -> str:
    """Of the key on the route that was called. Raises InvalidRequest (400) for one that is too long."""
    if len(inbound.idempotency_key) > MAX_KEY:
        raise InvalidRequest(f"An Idempotency-Key has at most {MAX_KEY} characters.", param="Idempotency-Key")
    return sha256(f"{inbound.called or inbound.path}\n{inbound.idempotency_key}".encode()).hexdigest()


def request_hash(inbound: Inbound) -> str:
    """The same for a form that is sent again, although clients divide it by another boundary each time."""
    media_type, body = inbound.content_type, inbound.body
    if (found := _BOUNDARY.search(media_type)) is not None:
        media_type, body = media_type[: found.start()], body.replace(found[1].encode(), b"")
    return sha256(f"{inbound.path}\n{media_type}\n".encode() + body).hexdigest()
