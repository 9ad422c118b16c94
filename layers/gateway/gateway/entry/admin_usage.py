"""/admin/usage: what all tenants have used, or one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field

from gateway.entry.usage_reports import ReportRequest, report_response
from gateway.model.rollup import DIMENSIONS
from gateway.pipeline.usage_report import TENANT, usage_report
from gateway.ports import Clock
from gateway.record_ports import UsageStore

Admitted = Callable[[Request], Awaitable[Any]]


class AdminReportRequest(ReportRequest):
    tenant_id: Annotated[str, Field(min_length=1, max_length=63)] | None = None


def usage_routes(admitted: Admitted, usage: UsageStore, clock: Clock) -> APIRouter:
    """`admitted` raises for a request that is not the administrator's."""
    router = APIRouter()

    @router.get("/usage")
    async def report(request: Request, asked: Annotated[AdminReportRequest, Query()]) -> Response:
        await admitted(request)
        query = asked.query((TENANT, *DIMENSIONS), clock.now_s())
        tenant_ids = [asked.tenant_id] if asked.tenant_id else await usage.tenants()
        return report_response(await usage_report(tenant_ids, query, usage), query, request, asked)

    return router
