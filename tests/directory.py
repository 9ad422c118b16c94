"""Tenants, users and keys in memory, on the same accounts as the memory's ledger and the same keys as its access."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.directory import Answered, Change, NotCommitted, Page, Stored, Transfer, Write
from gateway.model.record import AuditEvent
from gateway.model.secret import Secret
from gateway.model.tenant import ApiKey, Tenant, User

T = TypeVar("T", bound=Tenant | User | ApiKey)


@dataclass
class MemoryDirectory:
    ledger: MemoryLedger
    held: dict[tuple[type[Any], str, str], Stored[Any]] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    answers: dict[str, Answered] = field(default_factory=dict)
    outbox: dict[str, AuditEvent] = field(default_factory=dict)

    async def tenant(self, tenant_id: str) -> Stored[Tenant] | None:
        return self.held.get((Tenant, tenant_id, tenant_id))

    async def user(self, tenant_id: str, user_id: str) -> Stored[User] | None:
        return self.held.get((User, tenant_id, user_id))

    async def key(self, tenant_id: str, key_id: str) -> Stored[ApiKey] | None:
        return self.held.get((ApiKey, tenant_id, key_id))

    async def tenants(self, limit: int, after: str | None) -> Page[Tenant]:
        return _page((stored for (kind, _, _), stored in self.held.items() if kind is Tenant), limit, after)

    async def users(self, tenant_id: str, limit: int, after: str | None) -> Page[User]:
        return _page(self._of(tenant_id, User), limit, after)

    async def keys(self, tenant_id: str, limit: int, after: str | None, user_id: str | None) -> Page[ApiKey]:
        keys = self._of(tenant_id, ApiKey)
        return _page((key for key in keys if user_id in (None, key.value.user_id)), limit, after)

    async def is_erased(self, tenant_id: str) -> bool:
        return tenant_id in self.erased

    async def answered(self, name: str, now_s: float) -> Answered | None:
        answered = self.answers.get(name)
        return answered if answered is not None and answered.expires_at_s > now_s else None

    async def commit(self, change: Change, now_s: float) -> None:
        if change.answered is not None and await self.answered(change.answered.name, now_s) is not None:
            raise NotCommitted("answered")
        for write in change.writes:
            self._check(write)
        for transfer in change.transfers:
            await self._check_bounds(transfer)
        for write in change.writes:
            self.held[_place(write)] = Stored(write.value, write.text, write.created_at_s, write.at_s, _hash(write))
        for transfer in change.transfers:
            self.ledger.transfer(transfer)
        if change.answered is not None:
            self.answers[change.answered.name] = change.answered
        if change.event is not None:
            self.outbox[change.event.id] = change.event

    async def waiting(self, until_s: float) -> list[AuditEvent]:
        return sorted((each for each in self.outbox.values() if each.at_s <= until_s), key=lambda each: each.at_s)

    async def told(self, event_id: str) -> None:
        self.outbox.pop(event_id, None)

    async def erase(self, tenant_id: str, event: AuditEvent) -> None:
        self.outbox[event.id] = event
        self.erased.add(tenant_id)
        self.held = {place: stored for place, stored in self.held.items() if place[1] != tenant_id}

    def _of(self, tenant_id: str, wanted: type[T]) -> Iterable[Stored[T]]:
        return [stored for (kind, owner, _), stored in self.held.items() if kind is wanted and owner == tenant_id]

    def _check(self, write: Write) -> None:
        there = self.held.get(_place(write))
        is_reborn = isinstance(write.value, Tenant) and write.was is None and write.tenant_id in self.erased
        if (there and there.text) != (write.was and write.was.text) or is_reborn:
            raise NotCommitted("outdated")

    async def _check_bounds(self, transfer: Transfer) -> None:
        numbers = (await self.ledger.read(transfer.account_id)).numbers
        if any(numbers.get(name, 0) > most for name, most in transfer.at_most.items()):
            raise NotCommitted("moved")


@dataclass
class FixedAdminKey:
    """`known`: what was read last. `now`: what the secret holds."""

    now: str
    known: str = ""
    reads: int = 0

    async def current(self, *, is_doubted: bool = False) -> Secret:
        if is_doubted or not self.known:
            self.known = self.now
            self.reads += 1
        return Secret(self.known)


def _page(stored: Iterable[Stored[T]], limit: int, after: str | None) -> Page[T]:
    data = sorted((one for one in stored if one.value.id > (after or "")), key=lambda one: one.value.id)
    return Page(tuple(data[:limit]), len(data) > limit)


def _place(write: Write) -> tuple[type[Any], str, str]:
    return type(write.value), write.tenant_id, write.value.id


def _hash(write: Write) -> str:
    return write.key_hash if write.was is None else write.was.key_hash
