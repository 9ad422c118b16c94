"""What the administration needs of the world: all tenants, users and keys, and what tells of their changes."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from gateway.job_ports import Executions, Jobs
from gateway.model.directory import Answered, Change, Page, Stored
from gateway.model.record import AuditEvent
from gateway.model.secret import Secret
from gateway.model.tenant import ApiKey, Tenant, User
from gateway.ports import Catalog, Clock, Events, Ledger
from gateway.webhook_ports import WebhookSecrets, WebhookUrls


class Directory(Protocol):
    """All tenants, users and keys, for whoever administers them. Every method raises StorageUnavailable (503).

    Pages are in the order of ids, from the one after `after` on.
    """

    async def tenant(self, tenant_id: str) -> Stored[Tenant] | None: ...

    async def user(self, tenant_id: str, user_id: str) -> Stored[User] | None: ...

    async def key(self, tenant_id: str, key_id: str) -> Stored[ApiKey] | None: ...

    async def tenants(self, limit: int, after: str | None) -> Page[Tenant]: ...

    async def users(self, tenant_id: str, limit: int, after: str | None) -> Page[User]: ...

    async def keys(self, tenant_id: str, limit: int, after: str | None, user_id: str | None) -> Page[ApiKey]:
        """Of all users, or of one."""
        ...

    async def is_erased(self, tenant_id: str) -> bool:
        """Whether there was a tenant of that id."""
        ...

    async def answered(self, name: str, now_s: float) -> Answered | None:
        """What an Idempotency-Key was answered, while that is kept."""
        ...

    async def commit(self, change: Change, now_s: float) -> None:
        """Makes all of the change, or none of it. Raises NotCommitted."""
        ...

    async def erase(self, tenant_id: str, event: AuditEvent) -> None:
        """Removes a tenant with all its users, keys and types; its id is never given out again. May be repeated.

        The event waits in the outbox as soon as all is gone.
        """
        ...


class Outbox(Protocol):
    """Events that were stored with the change that they tell of. Both methods raise StorageUnavailable (503)."""

    async def waiting(self, until_s: float) -> list[AuditEvent]:
        """Those that happened until then (Unix seconds) and are not known to be told, oldest first."""
        ...

    async def told(self, event_id: str) -> None:
        """Forgets one."""
        ...


class AdminKey(Protocol):
    async def current(self, *, is_doubted: bool = False) -> Secret:
        """The administrator's key, cached for minutes. `is_doubted`: somebody came with another one, so it may have
        been rotated since. Raises AdmissionUnavailable (503) when nobody can tell.
        """
        ...


class AdminWorld(Struct, frozen=True):
    """What the administration needs."""

    admin_key: AdminKey
    directory: Directory
    outbox: Outbox
    ledger: Ledger
    events: Events
    catalog: Catalog
    webhook_urls: WebhookUrls
    webhook_secrets: WebhookSecrets
    jobs: Jobs
    executions: Executions
    clock: Clock
