"""Standard Webhooks: what a receiver checks that a message is from this gateway, now, and as it was sent.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from gateway.model.secret import Secret
from gateway.model.standard_webhooks import PREFIX, key_of, signature_of

__all__ = ["PREFIX", "read_secrets", "signed_headers"]


def read_secrets(text: str) -> list[Secret]:
    """The keys of "whsec_<base64>", several of them with spaces between while one takes over from another.

    Raises ValueError for anything else.
    """
    secrets = [Secret(secret) for secret in text.split()]
    if not secrets or not all(key_of(secret) for secret in secrets):
        raise ValueError("not a list of whsec_ secrets")
    return secrets


def signed_headers(message_id: str, sent_s: int, body: bytes, secrets: list[Secret]) -> dict[str, str]:
    """A signature by each secret."""
    signatures = [signature_of(message_id, str(sent_s), body, secret) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": " ".join(signatures),
    }
