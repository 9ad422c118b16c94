"""Who says to be calling, before anybody has looked it up."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from gateway.model.tenant import ApiKey


class Caller(Struct, frozen=True):
    """`key_hash`: SHA-256 of an API key, hex. `token_key`: instead of a stored key, what a verified token says.

    `user_id`: another user that the call names; None is the key's own.
    """

    key_hash: str = ""
    token_key: ApiKey | None = None
    user_id: str | None = None

    def naming(self, user_id: str | None) -> Caller:
        return self if user_id is None else replace(self, user_id=user_id)
