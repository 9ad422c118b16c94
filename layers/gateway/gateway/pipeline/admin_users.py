"""Users of a tenant that have settings of their own. Whoever has none may use what the tenant gives every user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.admin_ports import AdminWorld
from gateway.model.admin_errors import Conflict, UserNotFound
from gateway.model.directory import Change, Stored, Write
from gateway.model.tenant import Status, Tenant, User
from gateway.pipeline.admin_tenants import existing_tenant
from gateway.pipeline.administrator import Act
from gateway.pipeline.carry_out import Answer, Plan, carry_out, listing
from gateway.pipeline.reshard import Accounts, Spread, transfers
from gateway.pipeline.settings import changed_members, read_part, read_whole, warnings_of

Making = Callable[[Stored[User]], User]


class Users:
    """Of one tenant. Methods raise TenantNotFound and UserNotFound (404), and what `carry_out` raises."""

    def __init__(self, tenant_id: str, world: AdminWorld) -> None:
        self._tenant_id, self._world = tenant_id, world

    async def create(self, act: Act) -> Answer:
        """Raises InvalidRequest (400), Conflict (409)."""
        user = read_whole(act.body, User)

        async def planning() -> Plan:
            tenant = (await existing_tenant(self._tenant_id, self._world)).value
            act.check_existence()
            if await self._world.directory.user(self._tenant_id, user.id) is not None:
                raise Conflict(f"There is a user '{user.id}' already.", param="id")
            return await self._plan(user, None, tenant, "created")

        return await carry_out(act, planning, self._world)

    async def put(self, user_id: str, act: Act) -> Answer:
        """Replaces the settings, or makes them. Raises InvalidRequest (400), PreconditionFailed (412)."""
        user = read_whole(act.body, User, {"id": user_id})

        async def planning() -> Plan:
            tenant = (await existing_tenant(self._tenant_id, self._world)).value
            was = await self._world.directory.user(self._tenant_id, user_id)
            if was is None:
                act.check_existence()
                return await self._plan(user, None, tenant, "created")
            act.check_version(was.etag)
            return await self._plan(user, was, tenant, "changed")

        return await carry_out(act, planning, self._world)

    async def patch(self, user_id: str, act: Act) -> Answer:
        """Raises InvalidRequest (400), PreconditionFailed (412)."""
        return await self._change(user_id, act, lambda was: read_part(act.body, was.text, User), "changed")

    async def set_status(self, user_id: str, status: Status, act: Act) -> Answer:
        verb = "disabled" if status == "disabled" else "enabled"
        return await self._change(user_id, act, lambda was: msgspec.structs.replace(was.value, status=status), verb)

    async def find(self, user_id: str) -> Answer:
        await existing_tenant(self._tenant_id, self._world)
        stored = await self._existing(user_id)
        return Answer(200, self._described(stored), stored.etag)

    async def page(self, limit: int, after: str | None) -> Answer:
        await existing_tenant(self._tenant_id, self._world)
        page = await self._world.directory.users(self._tenant_id, limit, after)
        return Answer(200, listing([self._described(stored) for stored in page.data], page.has_more))

    async def _change(self, user_id: str, act: Act, making: Making, verb: str) -> Answer:
        async def planning() -> Plan:
            tenant = (await existing_tenant(self._tenant_id, self._world)).value
            was = await self._existing(user_id)
            act.check_version(was.etag)
            return await self._plan(making(was), was, tenant, verb)

        return await carry_out(act, planning, self._world)

    async def _plan(self, user: User, was: Stored[User] | None, tenant: Tenant, verb: str) -> Plan:
        now_s = int(self._world.clock.now_s())
        fields = changed_members(None if was is None else was.value, user)
        if was is not None and not fields:
            return Plan(Answer(200, self._described(was), was.etag), Change(), "", self._tenant_id)
        before = User(id=user.id) if was is None else was.value
        accounts, after = Accounts("user", self._tenant_id, user.id), _spread(user, tenant)
        moved = await transfers(accounts, _spread(before, tenant), after, self._world)
        write = Write(self._tenant_id, user, was, now_s)
        becomes = Stored(user, write.text, write.created_at_s, now_s)
        answer = Answer(201 if was is None else 200, self._described(becomes), becomes.etag)
        facts = {"user_id": user.id, "fields": fields}
        change = Change((write,), moved)
        return Plan(answer, change, f"admin.user.{verb}", self._tenant_id, facts, (accounts, after))

    async def _existing(self, user_id: str) -> Stored[User]:
        stored = await self._world.directory.user(self._tenant_id, user_id)
        if stored is None:
            raise UserNotFound(f"The tenant '{self._tenant_id}' has no user '{user_id}' with settings of his own.")
        return stored

    def _described(self, stored: Stored[User]) -> dict[str, Any]:
        return {
            "object": "user",
            "tenant_id": self._tenant_id,
            **msgspec.to_builtins(stored.value),
            "created_at": stored.created_at_s,
            "changed_at": stored.changed_at_s,
            "warnings": warnings_of(stored.value, self._world.catalog),
        }


def _spread(user: User, tenant: Tenant) -> Spread:
    return Spread(user.shards, tenant.user_allowance if user.allowance is None else user.allowance)
