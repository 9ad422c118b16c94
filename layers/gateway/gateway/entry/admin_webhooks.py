"""/admin/tenants/{tenant_id}/webhook-secret"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.admin_ports import AdminWorld
from gateway.entry.admin_requests import act_of, reply
from gateway.pipeline.admin_webhooks import rotate_webhook_secret, webhook_secret

SECRET = "/tenants/{tenant_id}/webhook-secret"  # noqa: S105 - a route


def webhook_routes(world: AdminWorld) -> APIRouter:
    router = APIRouter()

    @router.get(SECRET)
    async def show(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await webhook_secret(tenant_id, await act_of(request, world), world))

    @router.post(f"{SECRET}/rotate")
    async def rotate(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await rotate_webhook_secret(tenant_id, await act_of(request, world), world))

    return router
