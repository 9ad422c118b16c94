"""/admin/tenants/{tenant_id}/keys"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from gateway.admin_ports import AdminWorld
from gateway.entry.admin_requests import Listing, act_of, admitted, reply
from gateway.pipeline.admin_keys import Keys

ALL = "/tenants/{tenant_id}/keys"
ONE = ALL + "/{key_id}"


class KeyListing(Listing):
    user_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None


def key_routes(world: AdminWorld) -> APIRouter:
    router = APIRouter()

    @router.post(ALL)
    async def issue(request: Request, tenant_id: str) -> JSONResponse:
        return reply(await Keys(tenant_id, world).issue(await act_of(request, world)))

    @router.get(ALL)
    async def list_keys(request: Request, tenant_id: str, query: Annotated[KeyListing, Query()]) -> JSONResponse:
        await admitted(request, world)
        return reply(await Keys(tenant_id, world).page(query.limit, query.after, query.user_id))

    @router.get(ONE)
    async def retrieve(request: Request, tenant_id: str, key_id: str) -> JSONResponse:
        await admitted(request, world)
        return reply(await Keys(tenant_id, world).find(key_id))

    @router.patch(ONE)
    async def patch(request: Request, tenant_id: str, key_id: str) -> JSONResponse:
        return reply(await Keys(tenant_id, world).patch(key_id, await act_of(request, world)))

    @router.post(f"{ONE}/rotate")
    async def rotate(request: Request, tenant_id: str, key_id: str) -> JSONResponse:
        return reply(await Keys(tenant_id, world).rotate(key_id, await act_of(request, world)))

    @router.post(f"{ONE}/revoke")
    async def revoke(request: Request, tenant_id: str, key_id: str) -> JSONResponse:
        return reply(await Keys(tenant_id, world).revoke(key_id, await act_of(request, world)))

    return router
