"""API keys of a tenant: issued and shown once, listed, changed, rotated, revoked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from gateway.admin_ports import AdminWorld
from gateway.model.admin_errors import Conflict, KeyNotFound
from gateway.model.directory import Change, Stored, Write
from gateway.model.errors import Detail, InvalidRequest
from gateway.model.limits import Pattern
from gateway.model.tenant import ApiKey, Scope, User, UserId
from gateway.pipeline.admin_tenants import existing_tenant
from gateway.pipeline.administrator import Act
from gateway.pipeline.authenticate import KEY_PREFIX
from gateway.pipeline.carry_out import Answer, Plan, carry_out, listing
from gateway.pipeline.settings import changed_members, read_part, read_whole, unmatched

KEY_BYTES = 32
HINT_CHARACTERS = 8
MAX_OVERLAP_S = 30 * 24 * 3600


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new key is to be. Members as of `ApiKey`; `expires_at`: Unix seconds, None for never."""

    user_id: UserId
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)] = ("*",)
    models: Annotated[tuple[Pattern, ...], Meta(min_length=1)] = ("*",)
    label: Annotated[str, Meta(max_length=256)] = ""
    expires_at: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class Rotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`overlap_s`: how long the old key goes on working beside the new one."""

    overlap_s: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_S)] = 0


class Keys:
    """Of one tenant. Methods raise TenantNotFound and KeyNotFound (404), and what `carry_out` raises."""

    def __init__(self, tenant_id: str, world: AdminWorld) -> None:
        self._tenant_id, self._world = tenant_id, world

    async def issue(self, act: Act) -> Answer:
        """The answer shows the key, never again. A user that is not listed yet is from then on.

        Raises InvalidRequest (400).
        """
        order = read_whole(act.body, Order)
        self._check_expiry(order.expires_at)

        async def planning() -> Plan:
            await existing_tenant(self._tenant_id, self._world)
            user = await self._world.directory.user(self._tenant_id, order.user_id)
            now_s = int(self._world.clock.now_s())
            newcomer = () if user else (Write(self._tenant_id, User(id=order.user_id), None, now_s),)
            answer, write = self._new(_stored_members(order), now_s)
            facts = {"key_id": answer.body["id"], "user_id": order.user_id, "new_user": bool(newcomer)}
            return Plan(answer, Change((write, *newcomer)), "admin.key.issued", self._tenant_id, facts)

        return await carry_out(act, planning, self._world)

    async def rotate(self, key_id: str, act: Act) -> Answer:
        """A new key like that one, which ends: at once, or after an overlap.

        Raises InvalidRequest (400), Conflict (409), PreconditionFailed (412).
        """
        rotation = read_whole(act.body or b"{}", Rotation)

        async def planning() -> Plan:
            was = await self._existing(key_id)
            act.check_version(was.etag)
            now_s = int(self._world.clock.now_s())
            if not was.value.is_usable(now_s):
                raise Conflict("The key is revoked or expired; issue a new one.")
            kept = ("user_id", "scopes", "models", "label", "expires_at_s")
            answer, write = self._new({name: getattr(was.value, name) for name in kept}, now_s)
            ends = Write(self._tenant_id, _ending(was.value, now_s, rotation.overlap_s), was, now_s)
            facts = {"key_id": key_id, "new_key_id": answer.body["id"], "overlap_s": rotation.overlap_s}
            return Plan(answer, Change((write, ends)), "admin.key.rotated", self._tenant_id, facts)

        return await carry_out(act, planning, self._world)

    async def patch(self, key_id: str, act: Act) -> Answer:
        """Label, scopes, models and expiry. Raises InvalidRequest (400), PreconditionFailed (412)."""

        def making(was: ApiKey) -> ApiKey:
            order = read_part(act.body, msgspec.json.encode(_order_of(was)).decode(), Order, ("user_id",))
            return msgspec.structs.replace(was, **_stored_members(order))

        return await self._change(key_id, act, making, "changed")

    async def revoke(self, key_id: str, act: Act) -> Answer:
        return await self._change(key_id, act, lambda was: msgspec.structs.replace(was, status="revoked"), "revoked")

    async def find(self, key_id: str) -> Answer:
        stored = await self._existing(key_id)
        return Answer(200, self._described(stored), stored.etag)

    async def page(self, limit: int, after: str | None, user_id: str | None) -> Answer:
        await existing_tenant(self._tenant_id, self._world)
        page = await self._world.directory.keys(self._tenant_id, limit, after, user_id)
        return Answer(200, listing([self._described(stored) for stored in page.data], page.has_more))

    async def _change(self, key_id: str, act: Act, making: Callable[[ApiKey], ApiKey], verb: str) -> Answer:
        async def planning() -> Plan:
            was = await self._existing(key_id)
            act.check_version(was.etag)
            key = making(was.value)
            fields = ["expires_at" if name == "expires_at_s" else name for name in changed_members(was.value, key)]
            if not fields:
                return Plan(Answer(200, self._described(was), was.etag), Change(), "", self._tenant_id)
            write = Write(self._tenant_id, key, was, int(self._world.clock.now_s()))
            becomes = Stored(key, write.text, write.created_at_s, write.at_s, was.key_hash)
            facts = {"key_id": key_id, "fields": fields}
            answer = Answer(200, self._described(becomes), becomes.etag)
            return Plan(answer, Change((write,)), f"admin.key.{verb}", self._tenant_id, facts)

        return await carry_out(act, planning, self._world)

    def _new(self, settings: dict[str, Any], now_s: int) -> tuple[Answer, Write]:
        secret = f"{KEY_PREFIX}{secrets.token_urlsafe(KEY_BYTES)}"
        key = ApiKey(
            id=f"key_{secrets.token_hex(8)}",
            tenant_id=self._tenant_id,
            hint=secret[:HINT_CHARACTERS],
            created_at_s=now_s,
            **settings,
        )
        write = Write(self._tenant_id, key, None, now_s, hashlib.sha256(secret.encode()).hexdigest())
        becomes = Stored(key, write.text, now_s, now_s)
        return Answer(201, {**self._described(becomes), "key": secret}, becomes.etag), write

    async def _existing(self, key_id: str) -> Stored[ApiKey]:
        await existing_tenant(self._tenant_id, self._world)
        stored = await self._world.directory.key(self._tenant_id, key_id)
        if stored is None:
            raise KeyNotFound(f"The tenant '{self._tenant_id}' has no key '{key_id}'.")
        return stored

    def _check_expiry(self, expires_at: int | None) -> None:
        if expires_at is not None and expires_at <= self._world.clock.now_s():
            reason = "A new key expires in the future"
            detail = Detail("/expires_at", reason)
            raise InvalidRequest(f"{reason}, at 'expires_at'.", param="expires_at", details=(detail,))

    def _described(self, stored: Stored[ApiKey]) -> dict[str, Any]:
        key = stored.value
        ids = [f"{provider}/{facts.id}" for provider, facts in self._world.catalog.models()]
        is_expired = key.status == "active" and not key.is_usable(self._world.clock.now_s())
        return {
            "object": "key",
            "id": key.id,
            "tenant_id": key.tenant_id,
            "user_id": key.user_id,
            "label": key.label,
            "hint": key.hint,
            "status": "expired" if is_expired else key.status,
            "scopes": list(key.scopes),
            "models": list(key.models),
            "expires_at": key.expires_at_s,
            "created_at": key.created_at_s,
            "changed_at": stored.changed_at_s or key.created_at_s,
            "warnings": [msgspec.to_builtins(detail) for detail in unmatched("/models", key.models, ids)],
        }


def _ending(key: ApiKey, now_s: int, overlap_s: int) -> ApiKey:
    if not overlap_s:
        return msgspec.structs.replace(key, status="revoked")
    ends_s = now_s + overlap_s
    earlier = ends_s if key.expires_at_s is None else min(ends_s, key.expires_at_s)
    return msgspec.structs.replace(key, expires_at_s=earlier)


def _order_of(key: ApiKey) -> Order:
    return Order(
        user_id=key.user_id, scopes=key.scopes, models=key.models, label=key.label, expires_at=key.expires_at_s
    )


def _stored_members(order: Order) -> dict[str, Any]:
    members = msgspec.structs.asdict(order)
    members["expires_at_s"] = members.pop("expires_at")
    return members
