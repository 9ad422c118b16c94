"""How messages are signed by Standard Webhooks, whoever sends them.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from gateway.model.secret import Secret

PREFIX = "whsec_"
VERSION = "v1,"


def key_of(secret: Secret) -> bytes:
    """Of "whsec_<base64>"; empty for what is none. Raises ValueError for what begins so and is no base64."""
    text = secret.reveal()
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except ValueError:
        raise ValueError("a whsec_ secret is base64") from None


def signature_of(message_id: str, sent_s: str, body: bytes, secret: Secret) -> str:
    """As it stands in the header `webhook-signature`, one of several perhaps. `sent_s`: Unix seconds, as written."""
    content = f"{message_id}.{sent_s}.".encode() + body
    return VERSION + base64.b64encode(hmac.digest(key_of(secret), content, hashlib.sha256)).decode()
