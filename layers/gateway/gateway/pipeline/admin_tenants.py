"""Tenants, as the administrator makes, changes and removes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from gateway.admin_ports import AdminWorld
from gateway.model.admin_errors import Conflict, TenantNotFound
from gateway.model.directory import Change, Stored, Transfer, Write
from gateway.model.tenant import Status, Tenant, User
from gateway.model.webhook import WebhookSettings
from gateway.pipeline.administrator import Act
from gateway.pipeline.carry_out import Answer, Plan, carry_out, listing, tell, told
from gateway.pipeline.reshard import Accounts, Spread, accounts_moved, transfers
from gateway.pipeline.settings import (
    changed_members,
    check_together,
    read_part,
    read_whole,
    warnings_of,
    with_secret_of,
)

Making = Callable[[Stored[Tenant]], Tenant]
USERS_PER_READ = 1_000
MAX_MOVED = 90
"""Accounts in one change. A transaction of DynamoDB has 100 parts:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""


class Tenants:
    """Methods raise TenantNotFound (404), and what `carry_out` raises."""

    def __init__(self, world: AdminWorld) -> None:
        self._world = world

    async def create(self, act: Act) -> Answer:
        """Raises InvalidRequest (400), Conflict (409)."""
        tenant = with_secret_of(WebhookSettings(), read_whole(act.body, Tenant))
        check_together(tenant, self._world.webhook_urls)

        async def planning() -> Plan:
            act.check_existence()
            if await self._world.directory.tenant(tenant.id) is not None:
                raise Conflict(f"There is a tenant '{tenant.id}' already.", param="id")
            if await self._world.directory.is_erased(tenant.id):
                said = f"There was a tenant '{tenant.id}', whose usage, audit and files are kept under that id"
                raise Conflict(f"{said}; take another one.", param="id")
            return await self._plan(tenant, None, "created", 201)

        return await carry_out(act, planning, self._world)

    async def replace(self, tenant_id: str, act: Act) -> Answer:
        """Raises InvalidRequest (400), PreconditionFailed (412)."""
        tenant = read_whole(act.body, Tenant, {"id": tenant_id})
        return await self.change(tenant_id, act, lambda was: with_secret_of(was.value.webhooks, tenant))

    async def patch(self, tenant_id: str, act: Act) -> Answer:
        """Raises InvalidRequest (400), PreconditionFailed (412)."""

        def making(was: Stored[Tenant]) -> Tenant:
            return with_secret_of(was.value.webhooks, read_part(act.body, was.text, Tenant))

        return await self.change(tenant_id, act, making)

    async def set_status(self, tenant_id: str, status: Status, act: Act) -> Answer:
        verb = "disabled" if status == "disabled" else "enabled"
        return await self.change(
            tenant_id, act, lambda was: msgspec.structs.replace(was.value, status=status), verb=verb
        )

    async def find(self, tenant_id: str) -> Answer:
        stored = await existing_tenant(tenant_id, self._world)
        return Answer(200, self._described(stored), stored.etag)

    async def page(self, limit: int, after: str | None) -> Answer:
        page = await self._world.directory.tenants(limit, after)
        return Answer(200, listing([self._described(stored) for stored in page.data], page.has_more))

    async def delete(self, tenant_id: str, act: Act) -> Answer:
        """Only one that is disabled, so that no request of it can be under way by then unnoticed.

        Raises Conflict (409), PreconditionFailed (412).
        """
        stored = await existing_tenant(tenant_id, self._world)
        act.check_version(stored.etag)
        if stored.value.status != "disabled":
            raise Conflict("Disable the tenant before you delete it.")
        event = told("admin.tenant.deleted", tenant_id, {}, act, self._world.clock.now_s())
        await self._world.directory.erase(tenant_id, event)
        await tell(event, self._world)
        return Answer(200, {"id": tenant_id, "object": "tenant", "deleted": True})

    async def change(self, tenant_id: str, act: Act, making: Making, verb: str = "changed") -> Answer:
        """Raises InvalidRequest (400), PreconditionFailed (412)."""

        async def planning() -> Plan:
            was = await existing_tenant(tenant_id, self._world)
            act.check_version(was.etag)
            tenant = making(was)
            check_together(tenant, self._world.webhook_urls, was.value)
            return await self._plan(tenant, was, verb, 200)

        return await carry_out(act, planning, self._world)

    async def _plan(self, tenant: Tenant, was: Stored[Tenant] | None, verb: str, status: int) -> Plan:
        now_s = int(self._world.clock.now_s())
        fields = changed_members(None if was is None else was.value, tenant)
        if was is not None and not fields:
            return Plan(Answer(status, self._described(was), was.etag), Change(), "", tenant.id)
        write = Write(tenant.id, tenant, was, now_s)
        accounts, after = Accounts("tenant", tenant.id), _spread(tenant)
        moved = () if was is None else await self._moved(was.value, tenant)
        becomes = Stored(tenant, write.text, write.created_at_s, now_s)
        answer = Answer(status, self._described(becomes), becomes.etag)
        change, facts = Change((write,), moved), {"fields": fields}
        return Plan(answer, change, f"admin.tenant.{verb}", tenant.id, facts, (accounts, after))

    async def _moved(self, was: Tenant, tenant: Tenant) -> tuple[Transfer, ...]:
        """Also for users who have the tenant's allowance for them. Raises Conflict (409) where these are too many."""
        moves = [(Accounts("tenant", tenant.id), _spread(was), _spread(tenant))]
        if was.user_allowance.budgets != tenant.user_allowance.budgets:
            async for user in self._spread_users(tenant.id):
                before, after = Spread(user.shards, was.user_allowance), Spread(user.shards, tenant.user_allowance)
                moves.append((Accounts("user", tenant.id, user.id), before, after))
        if sum(accounts_moved(before, after) for _, before, after in moves) > MAX_MOVED:
            raise Conflict(
                f"{len(moves) - 1} users with shards have these budgets, and one change can move {MAX_MOVED} accounts. "
                "Give some of them an allowance of their own first.",
                param="user_allowance",
            )
        moved = await asyncio.gather(*(transfers(*move, self._world) for move in moves))
        return tuple(transfer for some in moved for transfer in some)

    async def _spread_users(self, tenant_id: str) -> AsyncIterator[User]:
        after: str | None = None
        while True:
            page = await self._world.directory.users(tenant_id, USERS_PER_READ, after)
            for stored in page.data:
                if stored.value.shards > 1 and stored.value.allowance is None:
                    yield stored.value
            if not page.has_more:
                return
            after = page.data[-1].value.id

    def _described(self, stored: Stored[Tenant]) -> dict[str, Any]:
        return {
            "object": "tenant",
            **msgspec.to_builtins(stored.value),
            "created_at": stored.created_at_s,
            "changed_at": stored.changed_at_s,
            "warnings": warnings_of(stored.value, self._world.catalog),
        }


async def existing_tenant(tenant_id: str, world: AdminWorld) -> Stored[Tenant]:
    """Raises TenantNotFound (404)."""
    stored = await world.directory.tenant(tenant_id)
    if stored is None:
        raise TenantNotFound(f"There is no tenant '{tenant_id}'.")
    return stored


def _spread(tenant: Tenant) -> Spread:
    return Spread(tenant.shards, tenant.allowance)
