"""/admin/tenants"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from gateway.admin_ports import AdminWorld
from gateway.entry.admin_requests import Listing, act_of, admitted, reply
from gateway.pipeline.admin_ledger import tenant_ledger
from gateway.pipeline.admin_tenants import Tenants

ONE = "/tenants/{tenant_id}"


def tenant_routes(world: AdminWorld) -> APIRouter:
    router, tenants = APIRouter(), Tenants(world)

    @router.post("/tenants")
    async def create(request: Request) -> JSONResponse:
        return reply(await tenants.create(await act_of(request, world)))

    @router.get("/tenants")
    async def list_tenants(request: Request, query: Annotated[Listing, Query()]) -> JSONResponse:
        await admitted(request, world)
        return reply(await tenants.page(query.limit, query.after))

    @router.get(ONE)
    async def retrieve(request: Request, tenant_id: str) -> JSONResponse:
        await admitted(request, world)
        return reply(await tenants.find(tenant_id))

    @router.put(ONE)
    async def replace(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await tenants.replace(tenant_id, await act_of(request, world)))

    @router.patch(ONE)
    async def patch(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await tenants.patch(tenant_id, await act_of(request, world)))

    @router.delete(ONE)
    async def delete(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await tenants.delete(tenant_id, await act_of(request, world)))

    @router.get(f"{ONE}/ledger")
    async def ledger(request: Request, tenant_id: str) -> JSONResponse:
        await admitted(request, world)
        return reply(await tenant_ledger(tenant_id, world))

    @router.post(f"{ONE}/disable")
    async def disable(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await tenants.set_status(tenant_id, "disabled", await act_of(request, world)))

    @router.post(f"{ONE}/enable")
    async def enable(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await tenants.set_status(tenant_id, "active", await act_of(request, world)))

    return router
