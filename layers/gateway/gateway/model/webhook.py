"""Where a job's end is told to whoever ordered it, how often that was tried, and what became of it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct

from gateway.model.unshown import Unshown

MAX_URL_CHARACTERS = 2_048
WebhookUrl: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_URL_CHARACTERS)]
MAX_OVERLAP_S = 7 * 24 * 3600
"""How long messages may be signed by a secret and the one before it."""


class WebhookSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a tenant. `url`: where the end of each job is told that names no other place; None for nowhere.

    `secret_version`: of the secret that its messages are signed with; another version is another secret.
    `previous_until_s`: Unix seconds until which they are signed with the version before as well.
    """

    url: WebhookUrl | None = None
    secret_version: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    previous_until_s: Annotated[int, Meta(ge=0, le=2**53)] = 0

    def versions(self, now_s: float) -> tuple[int, ...]:
        """Those that a message is signed with, the newest first."""
        both = self.secret_version > 1 and now_s < self.previous_until_s
        return (self.secret_version, self.secret_version - 1) if both else (self.secret_version,)


class Webhook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of a job. `url`: where its end is yet to be told; None once it is told, or nobody tries any more.

    `tries`: how often it was tried. `again_at_s`: Unix seconds before which nobody does. `failure`: why the last try
    was none, as a code ("status_500", "timeout", "address_not_public").
    """

    url: str | None = None
    tries: int = 0
    again_at_s: float = 0
    failure: str | None = None

    @property
    def status(self) -> Literal["pending", "delivered", "failed"]:
        if self.url is not None:
            return "pending"
        return "delivered" if self.failure is None else "failed"


class WebhookMessage(Unshown, frozen=True):
    """`id`: the same however often it is sent. `versions`: of the tenant's secrets that sign it, the newest first."""

    UNSHOWN: ClassVar = ("url", "body")

    id: str
    tenant_id: str
    versions: tuple[int, ...]
    url: str
    body: bytes


class WebhookReceipt(Struct, frozen=True):
    """What came of sending one. `failure`: None where the receiver took it (2xx). `is_final`: whether another try would
    come to the same. `wait_s`: how long the receiver wants to be left alone.
    """

    failure: str | None = None
    is_final: bool = False
    wait_s: float = 0
