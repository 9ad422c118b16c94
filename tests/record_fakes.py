"""Where records are kept, in memory. tests/ports holds these and the real adapters to the same behaviour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import StorageUnavailable
from gateway.model.ledger import hold_name
from gateway.model.record import Attribution, AuditEvent, BudgetAlert, UsageRecord
from gateway.model.rollup import Counts, Group, add_to, counts_of, group_of
from gateway.model.tenant import Tenant, User
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.ports import Clock, Ledger
from gateway.record_ports import Added

NOW_S = 1_790_000_000.0  # 2026-09-21, 14:13
LIFE_S = 35 * 86_400
USAGE = TokenUsage(
    prompt_tokens=12,
    completion_tokens=34,
    prompt=PromptTokensDetails(cached_tokens=5),
    completion=CompletionTokensDetails(reasoning_tokens=7),
)


def record(request_id: str = "req_1", attempt: int = 1, **changes: Any) -> UsageRecord:
    of = {"tenant_id": "acme", "user_id": "alice", "key_id": "key_1", "operation": "chat", **changes.pop("of", {})}
    told = UsageRecord(
        of=Attribution(request_id=request_id, **of),
        attempt=attempt,
        at_s=NOW_S,
        outcome="ok",
        provider="openai",
        model="openai/gpt-4o",
        usage=USAGE,
        cost_nano_usd=1_000_001,
    )
    return msgspec.structs.replace(told, **changes)


def alert() -> BudgetAlert:
    return BudgetAlert(
        id="budget.acme..2026-09.80",
        at_s=NOW_S,
        tenant_id="acme",
        level="tenant",
        user_id=None,
        window="2026-09",
        models="*",
        percent=80,
        limit_nano_usd=10,
        spent_nano_usd=8,
    )


def lost(request_id: str = "req_1", cost_nano_usd: int = 7_000) -> UsageRecord:
    usage = TokenUsage(estimated=True)
    return record(request_id, 0, outcome="lost", code="lost", usage=usage, cost_nano_usd=cost_nano_usd)


Request = tuple[str, str]


@dataclass
class MemoryUsage:
    """`rows`: by tenant and group. `attempts`: by tenant, request id and attempt."""

    clock: Clock
    life_s: float = 35 * 86_400
    ledger: Ledger = field(default_factory=MemoryLedger)
    attempts: dict[Request, dict[int, UsageRecord]] = field(default_factory=dict)
    closed: set[Request] = field(default_factory=set)
    rows: dict[tuple[str, Group], dict[str, int]] = field(default_factory=dict)
    passed_s: float = 0.0

    async def add(self, records: Sequence[UsageRecord]) -> Added:
        added = Added()
        for record in records:
            request = (record.of.tenant_id, record.of.request_id)
            if record.attempt in self.attempts.get(request, {}):
                added.known.append(record)
            elif request in self.closed or record.at_s + self.life_s <= self.clock.now_s():
                added.late.append(record)
            else:
                self.attempts.setdefault(request, {})[record.attempt] = record
                add_to(self.rows.setdefault((request[0], group_of(record)), {}), counts_of(record))
                for account_id, numbers in record.unbooked.items():
                    await self.ledger.add(account_id, numbers)
                added.counted.append(record)
        return added

    async def claim(self, lost: UsageRecord) -> list[UsageRecord]:
        request = (lost.of.tenant_id, lost.of.request_id)
        if request not in self.attempts:
            await self.add([lost])
        return await self.close(*request)

    async def close(self, tenant_id: str, request_id: str) -> list[UsageRecord]:
        if (tenant_id, request_id) not in self.attempts:
            raise StorageUnavailable("There is no such request.")
        self.closed.add((tenant_id, request_id))
        return await self.records(tenant_id, request_id)

    async def requests(self, tenant_id: str, hold_name_: str) -> list[str]:
        ids = [request_id for owner, request_id in self.attempts if owner == tenant_id]
        return [request_id for request_id in ids if hold_name(request_id) == hold_name_]

    async def records(self, tenant_id: str, request_id: str) -> list[UsageRecord]:
        return [record for _, record in sorted(self.attempts.get((tenant_id, request_id), {}).items())]

    async def sums(self, tenant_id: str, first_day: str, last_day: str) -> AsyncIterator[tuple[Group, Counts]]:
        for (owner, group), counts in sorted(self.rows.items(), key=lambda row: row[0]):
            if owner == tenant_id and first_day <= group.day <= last_day:
                yield group, dict(counts)

    async def tenants(self) -> list[str]:
        return sorted({owner for owner, _ in self.rows})

    async def pass_watermark(self, at_s: float) -> None:
        self.passed_s = max(self.passed_s, at_s)

    async def watermark_s(self) -> float:
        return self.passed_s


@dataclass
class MemoryArchive:
    """Lines by folder and day, one list for each object."""

    objects: dict[tuple[str, str], list[list[Mapping[str, Any]]]] = field(default_factory=dict)
    is_down: bool = False

    async def store(self, folder: str, day: str, lines: Sequence[Mapping[str, Any]]) -> None:
        if self.is_down:
            raise StorageUnavailable("The archive is down.")
        self.objects.setdefault((folder, day), []).append(list(lines))

    def ids(self, folder: str) -> list[str]:
        kept = [lines for (name, _), objects in self.objects.items() if name == folder for lines in objects]
        return [line["id"] for lines in kept for line in lines]


@dataclass
class MemoryAuditLog:
    lines: list[AuditEvent] = field(default_factory=list)
    marked: set[str] = field(default_factory=set)
    is_down: bool = False

    async def unwritten(self, ids: Collection[str]) -> set[str]:
        if self.is_down:
            raise StorageUnavailable("The audit log is down.")
        return set(ids) - self.marked

    async def write(self, events: Sequence[AuditEvent]) -> None:
        self.lines += events
        self.marked |= {event.id for event in events}


@dataclass
class FixedHolders:
    tenants: dict[str, Tenant] = field(default_factory=dict)
    users: dict[tuple[str, str], User] = field(default_factory=dict)

    async def holder(self, tenant_id: str, user_id: str) -> tuple[Tenant, User] | None:
        tenant = self.tenants.get(tenant_id)
        return None if tenant is None else (tenant, self.users.get((tenant_id, user_id)) or User(id=user_id))
