"""The usage function: GET /v1/usage, GET /v1/usage/requests/{request_id}."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from mangum import Mangum

from gateway.entry.record_wiring import Aws
from gateway.entry.rest import rest_app
from gateway.entry.usage_reports import ReportRequest, report_response
from gateway.entry.visits import Reception, Visiting
from gateway.entry.wiring import aws_world
from gateway.model.rollup import DIMENSIONS
from gateway.pipeline.usage_report import usage_report
from gateway.pipeline.usage_request import usage_of_request
from gateway.ports import World
from gateway.record_ports import UsageStore


def usage_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(usage_app(aws_world(), Aws().usage()), lifespan="off")


def usage_app(world: World, usage: UsageStore) -> FastAPI:
    app = rest_app(Reception(world, "usage", is_quiet=True))

    @app.get("/v1/usage", name="report")
    async def report(request: Request, asked: Annotated[ReportRequest, Query()], visit: Visiting) -> Response:
        query = asked.query(DIMENSIONS, world.clock.now_s())
        found = await usage_report([visit.tenant_id], query, usage)
        return report_response(found, query, request, asked)

    @app.get("/v1/usage/requests/{request_id}", name="request")
    async def retrieve(request_id: str, visit: Visiting) -> dict[str, Any]:
        return await usage_of_request(visit.tenant_id, request_id, usage)

    return app
