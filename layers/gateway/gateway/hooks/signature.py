"""Standard Webhooks: what a receiver checks that a message is from this gateway, now, and as it was sent.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from gateway.model.secret import Secret

PREFIX = "whsec_"


def read_secrets(text: str) -> list[Secret]:
    """The keys of "whsec_<base64>", several of them with spaces between while one takes over from another.

    Raises ValueError for anything else.
    """
    secrets = [Secret(secret) for secret in text.split()]
    if not secrets or not all(_key(secret) for secret in secrets):
        raise ValueError("not a list of whsec_ secrets")
    return secrets


def derived_secret(root: Secret, tenant_id: str, version: int) -> Secret:
    """A secret of 32 bytes that nobody finds from another, by HMAC-SHA256: without the root they all look random."""
    key = hmac.digest(root.reveal().encode(), f"webhooks/{tenant_id}/{version}".encode(), hashlib.sha256)
    return Secret(PREFIX + base64.b64encode(key).decode())


def signed_headers(message_id: str, sent_s: int, body: bytes, secrets: list[Secret]) -> dict[str, str]:
    """A signature by each secret."""
    content = f"{message_id}.{sent_s}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(_key(secret), content, hashlib.sha256)).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(secret: Secret) -> bytes:
    """Raises ValueError."""
    text = secret.reveal()
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except binascii.Error:
        raise ValueError("a whsec_ secret is base64") from None
