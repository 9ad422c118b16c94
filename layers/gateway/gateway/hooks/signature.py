"""Standard Webhooks: what a receiver checks that a message is from this gateway, now, and as it was sent.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from gateway.model.secret import Secret
from gateway.model.standard_webhooks import PREFIX, key_of, signature_of

__all__ = ["PREFIX", "derived_secret", "read_secrets", "signed_headers"]


def read_secrets(text: str) -> list[Secret]:
    """The keys of "whsec_<base64>", several of them with spaces between while one takes over from another.

    Raises ValueError for anything else.
    """
    secrets = [Secret(secret) for secret in text.split()]
    if not secrets or not all(key_of(secret) for secret in secrets):
        raise ValueError("not a list of whsec_ secrets")
    return secrets


def derived_secret(root: Secret, tenant_id: str, version: int) -> Secret:
    """A secret of 32 bytes that nobody finds from another, by HMAC-SHA256: without the root they all look random."""
    key = hmac.digest(root.reveal().encode(), f"webhooks/{tenant_id}/{version}".encode(), hashlib.sha256)
    return Secret(PREFIX + base64.b64encode(key).decode())


def signed_headers(message_id: str, sent_s: int, body: bytes, secrets: list[Secret]) -> dict[str, str]:
    """A signature by each secret."""
    signatures = [signature_of(message_id, str(sent_s), body, secret) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": " ".join(signatures),
    }
