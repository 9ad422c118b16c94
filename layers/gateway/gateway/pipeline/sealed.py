"""Text that only whoever knows a secret can read again: AES-256-GCM, its key derived from the secret by HKDF-SHA256."""

from __future__ import annotations

from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.model.secret import Secret

NONCE_BYTES = 12
KEY_BYTES = 32


class NotOpened(Exception):
    """Sealed with another secret, for another purpose, or damaged."""


def seal(text: bytes, secret: Secret, purpose: str) -> bytes:
    nonce = token_bytes(NONCE_BYTES)
    return nonce + _cipher(secret, purpose).encrypt(nonce, text, None)


def opened(sealed: bytes, secret: Secret, purpose: str) -> bytes:
    """Raises NotOpened."""
    try:
        return _cipher(secret, purpose).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
    except (InvalidTag, ValueError):
        raise NotOpened from None


def _cipher(secret: Secret, purpose: str) -> AESGCM:
    derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode())
    return AESGCM(derive.derive(secret.reveal().encode()))
