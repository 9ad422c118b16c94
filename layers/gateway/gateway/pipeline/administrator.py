"""The administrator's door: whose key it is, and what comes with a request of his."""

from __future__ import annotations

import hashlib
from hmac import compare_digest

import msgspec

from gateway.admin_ports import AdminKey
from gateway.model.admin_errors import PreconditionFailed
from gateway.model.errors import InvalidApiKey, InvalidRequest
from gateway.model.secret import Secret

MAX_IDEMPOTENCY_KEY = 255
_REFUSAL = "Missing or invalid administrator's key. Send it as 'Authorization: Bearer <key>'."


class Once(msgspec.Struct, frozen=True):
    """A request that is to be carried out once. `name`: of its Idempotency-Key. `fingerprint`: of what it asks for."""

    name: str
    fingerprint: str


class Act(msgspec.Struct, frozen=True):
    """One request of the administrator. `key`: his own. `if_match`: the header. `source_ip`: where it came from."""

    request_id: str
    key: Secret
    body: bytes = b""
    source_ip: str | None = None
    if_match: str | None = None
    once: Once | None = None

    def check_version(self, etag: str) -> None:
        """Raises PreconditionFailed (412)."""
        if self.if_match is None:
            return
        wanted = {tag.strip() for tag in self.if_match.split(",")}
        if not wanted & {"*", etag}:
            raise PreconditionFailed("It has been changed since; read it again, and send its ETag as If-Match.")

    def check_existence(self) -> None:
        """Of what is not there no version can match. Raises PreconditionFailed (412)."""
        if self.if_match is not None:
            raise PreconditionFailed("There is nothing of that id that If-Match could match.")


async def administrator(authorization: str | None, admin_key: AdminKey) -> Secret:
    """The key that was shown, once it is known to be the administrator's. One that does not match is compared with the
    secret as it is now, for it may have been rotated.

    Raises InvalidApiKey (401), AdmissionUnavailable (503).
    """
    scheme, _, shown = (authorization or "").partition(" ")
    shown = shown.strip()
    if scheme.lower() != "bearer" or not shown:
        raise InvalidApiKey(_REFUSAL)
    for is_doubted in (False, True):
        if _is_same(shown, await admin_key.current(is_doubted=is_doubted)):
            return Secret(shown)
    raise InvalidApiKey(_REFUSAL)


def once(idempotency_key: str | None, method: str, path: str, body: bytes) -> Once | None:
    """Raises InvalidRequest (400)."""
    if idempotency_key is None:
        return None
    if not 0 < len(idempotency_key) <= MAX_IDEMPOTENCY_KEY:
        raise InvalidRequest(f"An Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} characters.", param="Idempotency-Key")
    return Once(_digest(idempotency_key), _digest(method, path, hashlib.sha256(body).hexdigest()))


def _digest(*parts: str) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _is_same(shown: str, known: Secret) -> bool:
    """In a time that does not depend on where they differ, nor on how long the known one is."""
    return compare_digest(_sha256(shown), _sha256(known.reveal())) and bool(known)


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
