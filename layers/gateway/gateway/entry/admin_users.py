"""/admin/tenants/{tenant_id}/users

A user's id may have slashes in it: it is all between `users/` and what comes after.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from gateway.admin_ports import AdminWorld
from gateway.entry.admin_requests import Listing, act_of, admitted, reply
from gateway.pipeline.admin_ledger import user_ledger
from gateway.pipeline.admin_users import Users

ALL = "/tenants/{tenant_id}/users"
ONE = ALL + "/{user_id:path}"


def user_routes(world: AdminWorld) -> APIRouter:
    router = APIRouter()

    @router.post(f"{ONE}/disable")
    async def disable(request: Request, tenant_id: str, user_id: str) -> JSONResponse:
        act = await act_of(request, world)
        return reply(await Users(tenant_id, world).set_status(user_id, "disabled", act))

    @router.post(f"{ONE}/enable")
    async def enable(request: Request, tenant_id: str, user_id: str) -> JSONResponse:
        act = await act_of(request, world)
        return reply(await Users(tenant_id, world).set_status(user_id, "active", act))

    @router.get(f"{ONE}/ledger")
    async def ledger(request: Request, tenant_id: str, user_id: str) -> JSONResponse:
        await admitted(request, world)
        return reply(await user_ledger(tenant_id, user_id, world))

    @router.post(ALL)
    async def create(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await Users(tenant_id, world).create(await act_of(request, world)))

    @router.get(ALL)
    async def list_users(request: Request, tenant_id: str, query: Annotated[Listing, Query()]) -> JSONResponse:
        await admitted(request, world)
        return reply(await Users(tenant_id, world).page(query.limit, query.after))

    @router.get(ONE)
    async def retrieve(request: Request, tenant_id: str, user_id: str) -> JSONResponse:
        await admitted(request, world)
        return reply(await Users(tenant_id, world).find(user_id))

    @router.put(ONE)
    async def put(request: Request, tenant_id: str, user_id: str) -> JSONResponse:
        return reply(await Users(tenant_id, world).put(user_id, await act_of(request, world)))

    @router.patch(ONE)
    async def patch(request: Request, tenant_id: str, user_id: str) -> JSONResponse:
        return reply(await Users(tenant_id, world).patch(user_id, await act_of(request, world)))

    return router
