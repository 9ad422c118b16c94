"""What becomes of what was told needs these of the world, beside `ports.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from gateway.admin_ports import Outbox
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.rollup import Counts, Group
from gateway.model.tenant import Tenant, User
from gateway.ports import Clock, Events, Ledger, Records


class Added(Struct, frozen=True):
    """What became of usage records that were to be counted.

    `known`: had been counted before. `late`: came after their request was closed, or after nobody can tell any more
    whether they were counted; not counted. `failed`: may be counted or not, and are safe to add again.
    """

    counted: list[UsageRecord] = field(default_factory=list)
    known: list[UsageRecord] = field(default_factory=list)
    late: list[UsageRecord] = field(default_factory=list)
    failed: list[UsageRecord] = field(default_factory=list)


class UsageStore(Protocol):
    """Every usage record once, and their sums (`model/rollup.py`), which change in the same step.

    Every method but `add` raises StorageUnavailable (503).
    """

    async def add(self, records: Sequence[UsageRecord]) -> Added:
        """Keeps and counts each one that is not known yet, and adds to the ledger what is `unbooked` of it, at once.
        Records of a closed request are refused. Never raises.
        """
        ...

    async def claim(self, lost: UsageRecord) -> list[UsageRecord]:
        """Closes a request for ever, with `lost` as its only record when it has none. What it has then, by attempt."""
        ...

    async def close(self, tenant_id: str, request_id: str) -> list[UsageRecord]:
        """Closes a request that has records, for ever. What it has, by attempt."""
        ...

    async def requests(self, tenant_id: str, hold_name: str) -> list[str]:
        """Ids of the requests with records whose hold has that name: one or none, but for a rare coincidence."""
        ...

    async def records(self, tenant_id: str, request_id: str) -> list[UsageRecord]:
        """By attempt; none when nothing is known of the request, or not any more."""
        ...

    def sums(self, tenant_id: str, first_day: str, last_day: str) -> AsyncIterator[tuple[Group, Counts]]:
        """Every row of those days, both included, by day."""
        ...

    async def tenants(self) -> list[str]:
        """All that have ever used anything."""
        ...

    async def pass_watermark(self, at_s: float) -> None:
        """What was told until then has been read."""
        ...

    async def watermark_s(self) -> float:
        """The latest that has passed; 0 for none."""
        ...


class Archive(Protocol):
    async def store(self, folder: str, day: str, lines: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the lines as one object among those of that day. The same lines again are the same object.

        Raises StorageUnavailable (503).
        """
        ...


class AuditLog(Protocol):
    """The audit log. A line may be written twice when a writer dies between two steps; then both have one id.

    Both methods raise StorageUnavailable (503).
    """

    async def unwritten(self, ids: Collection[str]) -> set[str]:
        """Of these ids those that were not written, as far as is known."""
        ...

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """Appends a line for each and remembers that it did."""
        ...


class Holders(Protocol):
    async def holder(self, tenant_id: str, user_id: str) -> tuple[Tenant, User] | None:
        """A tenant and one of its users, whatever their state; None when there is no such tenant.

        Raises AdmissionUnavailable (503).
        """
        ...


class RecordsWorld(Struct, frozen=True):
    """Where what was told is kept."""

    usage: UsageStore
    archive: Archive
    audit_log: AuditLog
    records: Records
    clock: Clock


class SweepWorld(Struct, frozen=True):
    """What ends the holds of requests that nobody will end, and tells of changes that nobody told."""

    ledger: Ledger
    usage: UsageStore
    holders: Holders
    events: Events
    outbox: Outbox
    records: Records
    clock: Clock
