"""What a tenant's webhooks are signed with: shown to the administrator, and replaced by another."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace as with_members

from gateway.admin_ports import AdminWorld
from gateway.model.directory import Stored
from gateway.model.tenant import Tenant
from gateway.model.webhook import MAX_OVERLAP_S, WebhookSettings
from gateway.pipeline.admin_tenants import Tenants, existing_tenant
from gateway.pipeline.administrator import Act
from gateway.pipeline.carry_out import Answer, told
from gateway.pipeline.settings import read_whole

DAY_S = 24 * 3600


class WebhookRotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`overlap_s`: how long messages are signed with the old secret as well."""

    overlap_s: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_S)] = DAY_S


async def webhook_secret(tenant_id: str, act: Act, world: AdminWorld) -> Answer:
    """The audit log has it that it was shown. Raises TenantNotFound (404), StorageUnavailable (503)."""
    stored = await existing_tenant(tenant_id, world)
    answer = await _answer(stored.value.webhooks, tenant_id, stored.etag, world)
    event = told("admin.tenant.webhook_secret_shown", tenant_id, {}, act, world.clock.now_s())
    await world.events.send([event])
    return answer


async def rotate_webhook_secret(tenant_id: str, act: Act, world: AdminWorld) -> Answer:
    """The new one. It is stored nowhere, so an answer that is given again is made again.

    Raises InvalidRequest (400), PreconditionFailed (412), and what `carry_out` and `webhook_secret` raise.
    """
    rotation = read_whole(act.body or b"{}", WebhookRotation)

    def making(was: Stored[Tenant]) -> Tenant:
        until_s = int(world.clock.now_s()) + rotation.overlap_s
        version = was.value.webhooks.secret_version + 1
        webhooks = with_members(was.value.webhooks, secret_version=version, previous_until_s=until_s)
        return with_members(was.value, webhooks=webhooks)

    changed = await Tenants(world).change(tenant_id, act, making, "webhook_secret_rotated")
    webhooks = msgspec.convert(changed.body["webhooks"], WebhookSettings)
    answer = await _answer(webhooks, tenant_id, changed.etag, world)
    return with_members(answer, is_replay=changed.is_replay)


async def _answer(webhooks: WebhookSettings, tenant_id: str, etag: str | None, world: AdminWorld) -> Answer:
    [secret, *_] = await world.webhook_secrets.find(tenant_id, webhooks.secret_version)
    has_previous = len(webhooks.versions(world.clock.now_s())) > 1
    body: dict[str, Any] = {
        "object": "webhook_secret",
        "tenant_id": tenant_id,
        "secret": secret.reveal(),
        "version": webhooks.secret_version,
        "previous_until": webhooks.previous_until_s if has_previous else None,
    }
    return Answer(200, body, etag)
