"""Tenants, users and keys as they are stored: what each was when it was read, and what is to become of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Generic, Literal, TypeAlias, TypeVar

import msgspec

from gateway.model.record import AuditEvent
from gateway.model.tenant import ApiKey, Tenant, User

T = TypeVar("T", bound=Tenant | User | ApiKey)


class Stored(msgspec.Struct, Generic[T], frozen=True):
    """`text`: the JSON document, as it stands in the store. `key_hash`: of a key, SHA-256 in hex. Unix seconds."""

    value: T
    text: str
    created_at_s: int
    changed_at_s: int
    key_hash: str = ""

    @property
    def etag(self) -> str:
        return etag_of(self.text)


class Page(msgspec.Struct, Generic[T], frozen=True):
    data: tuple[Stored[T], ...]
    has_more: bool


class Write(msgspec.Struct, frozen=True):
    """`value` in place of `was`, or as something new: only if what is stored is still that, or still nothing.

    `key_hash`: of a key.
    """

    tenant_id: str
    value: Tenant | User | ApiKey
    was: Stored[Tenant] | Stored[User] | Stored[ApiKey] | None
    at_s: int
    key_hash: str = ""

    @property
    def text(self) -> str:
        return text_of(self.value)

    @property
    def created_at_s(self) -> int:
        return self.at_s if self.was is None else self.was.created_at_s


class Transfer(msgspec.Struct, frozen=True):
    """Changes to the numbers of one account, if none of those in `at_most` is above that at the moment.

    From then on the account counts as one of so many `shards`, and takes nothing from whoever believes otherwise.
    """

    account_id: str
    shards: int
    changes: Mapping[str, int] = msgspec.field(default_factory=dict)
    at_most: Mapping[str, int] = msgspec.field(default_factory=dict)


class Answered(msgspec.Struct, frozen=True):
    """What a request with an Idempotency-Key was answered. `name`: of the key. `fingerprint`: of the request.

    `sealed`: the answer, which only whoever asked can open.
    """

    name: str
    fingerprint: str
    sealed: bytes
    expires_at_s: int


class Change(msgspec.Struct, frozen=True):
    """All of it happens, or nothing. `event`: tells of it, and waits beside it until it is told."""

    writes: tuple[Write, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    answered: Answered | None = None
    event: AuditEvent | None = None


Obstacle: TypeAlias = Literal["outdated", "moved", "answered"]


class NotCommitted(Exception):
    """Nothing was changed. "outdated": a document is no longer what it was. "moved": a number is above its bound.

    "answered": the Idempotency-Key was used before.
    """

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


def text_of(value: Tenant | User | ApiKey) -> str:
    return msgspec.json.encode(value).decode()


def etag_of(text: str) -> str:
    """The version of a document, as HTTP writes it."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
