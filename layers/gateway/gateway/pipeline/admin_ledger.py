"""What a tenant or a user has spent, holds and has left at this moment, rule by rule."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from gateway.admin_ports import AdminWorld
from gateway.model.admin_errors import UserNotFound
from gateway.model.ledger import Level, Reading, day_of, minute_of, month_of, suffix
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.money import usd_text
from gateway.model.tenant import MAX_SHARDS, USER_ID, User
from gateway.pipeline.admin_tenants import existing_tenant
from gateway.pipeline.carry_out import Answer
from gateway.pipeline.meters import window_end_s
from gateway.pipeline.reshard import Accounts

_USER_ID = re.compile(USER_ID)


async def tenant_ledger(tenant_id: str, world: AdminWorld) -> Answer:
    """Raises TenantNotFound (404), AdmissionUnavailable (503)."""
    tenant = (await existing_tenant(tenant_id, world)).value
    books = await _books(Accounts("tenant", tenant_id), tenant.shards, world)
    return Answer(200, {**_head("tenant", tenant_id, None), **_described(books, tenant.full_allowance)})


async def user_ledger(tenant_id: str, user_id: str, world: AdminWorld) -> Answer:
    """Also of a user that has no settings of his own. Raises as `tenant_ledger`, and UserNotFound (404)."""
    tenant = (await existing_tenant(tenant_id, world)).value
    if not _USER_ID.fullmatch(user_id):
        raise UserNotFound("A user's id has 1 to 256 visible ASCII characters, so nobody has that one.")
    stored = await world.directory.user(tenant_id, user_id)
    user = User(id=user_id) if stored is None else stored.value
    books = await _books(Accounts("user", tenant_id, user_id), user.shards, world)
    allowance = tenant.user_allowance if user.allowance is None else user.allowance
    return Answer(200, {**_head("user", tenant_id, user_id), **_described(books, allowance)})


class _Books(Struct, frozen=True):
    """All accounts of somebody, as one."""

    readings: Sequence[Reading]
    now_s: float

    def number(self, name: str) -> int:
        return sum(reading.numbers.get(name, 0) for reading in self.readings)


async def _books(accounts: Accounts, shards: int, world: AdminWorld) -> _Books:
    """Where there were ever more or fewer accounts, what ended there since still counts."""
    first, *others = await accounts.read(world.ledger, shards)
    if first.shards is not None:
        rest = (world.ledger.read(accounts.id(shard)) for shard in range(shards, MAX_SHARDS))
        others += await asyncio.gather(*rest)
    return _Books([first, *others], world.clock.now_s())


def _head(level: Level, tenant_id: str, user_id: str | None) -> dict[str, Any]:
    return {"object": "ledger", "level": level, "tenant_id": tenant_id, "user_id": user_id}


def _described(books: _Books, allowance: Allowance) -> dict[str, Any]:
    return {
        "at": int(books.now_s),
        "running_requests": books.number("n"),
        "running_jobs": books.number("j"),
        "spending": [_spending(books, "day"), _spending(books, "month")],
        "budgets": [_budget(books, budget) for budget in allowance.budgets],
        "limits": [rule for limits in allowance.limits for rule in _limits(books, limits)],
    }


def _spending(books: _Books, window: Any, models: str = "*") -> dict[str, Any]:
    name = f"{(day_of if window == 'day' else month_of)(books.now_s)}{suffix(models)}"
    spent, committed = books.number(f"s{name}"), books.number(f"c{name}")
    return {
        "window": window,
        "models": models,
        "spent_usd": usd_text(spent),
        "held_usd": usd_text(max(0, committed - spent)),
        "resets_at": window_end_s(window, books.now_s),
    }


def _budget(books: _Books, budget: Budget) -> dict[str, Any]:
    name = f"c{(day_of if budget.window == 'day' else month_of)(books.now_s)}{suffix(budget.models)}"
    left = max(0, budget.nano_usd - books.number(name))
    return {
        **_spending(books, budget.window, budget.models),
        "limit_usd": usd_text(budget.nano_usd),
        "left_usd": usd_text(left),
    }


def _limits(books: _Books, limits: Limits) -> Iterator[dict[str, Any]]:
    minute, rule = minute_of(books.now_s), suffix(limits.models)

    def row(kind: str, limit: int, name: str) -> dict[str, Any]:
        used = books.number(name)
        return {"kind": kind, "models": limits.models, "limit": limit, "used": used, "left": max(0, limit - used)}

    if limits.requests_per_minute is not None:
        yield row("requests_per_minute", limits.requests_per_minute, f"r{minute}{rule}")
    if limits.tokens_per_minute is not None:
        yield row("tokens_per_minute", limits.tokens_per_minute, f"t{minute}{rule}")
    if limits.concurrent_requests is not None:
        yield row("concurrent_requests", limits.concurrent_requests, f"n{rule}")
    if limits.concurrent_jobs is not None:
        yield row("concurrent_jobs", limits.concurrent_jobs, f"j{rule}")
    if (burst := limits.burst) is not None:
        number = int(books.now_s) // burst.seconds
        yield row("burst", burst.requests, f"b{burst.seconds}.{number}{rule}")
