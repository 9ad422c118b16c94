"""The jobs function: /v1/jobs."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.entry.door import Operation, with_orders
from gateway.entry.http import App, Responder
from gateway.entry.job_answer import answer_job
from gateway.entry.rest import rest_app
from gateway.entry.visits import Reception, Visiting
from gateway.model.errors import InvalidRequest
from gateway.model.job import Status, is_job_id
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_endpoints import ENDPOINTS
from gateway.pipeline.job_ordered import ordered
from gateway.pipeline.job_respond import job_list, poll_headers
from gateway.pipeline.job_shown import job_view
from gateway.pipeline.tenant_jobs import TenantJobs
from gateway.pipeline.visit import Visit
from gateway.ports import World

ROUTE = "/v1/jobs"


class Listing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    after: str | None = None
    status: Status | None = None


def jobs_app(world: World) -> App:
    async def answer(inbound: Inbound, exchange: Exchange, responder: Responder) -> None:
        exchange.inbound = asked = await ordered(inbound, exchange, world)
        endpoint = ENDPOINTS[asked.path]
        exchange.operation = endpoint.operation
        await answer_job(await endpoint.run(asked, exchange, world), exchange, responder)

    return with_orders(Operation("jobs", ROUTE, answer, takes_prefer=False), _known_jobs_app(world), world)


def _known_jobs_app(world: World) -> FastAPI:
    """Only what changes a job leaves a record."""
    app = rest_app(Reception(world, "jobs", is_quiet=True, is_limited=False))

    def one_of(visit: Visit, job_id: str) -> TenantJobs:
        if is_job_id(job_id):
            visit.note(job_id=job_id)
        return TenantJobs(visit.tenant_id, world)

    @app.get(ROUTE, name="list")
    async def list_jobs(query: Annotated[Listing, Query()], visit: Visiting) -> Response:
        if query.after is not None and not is_job_id(query.after):
            raise InvalidRequest("after is not the id of a job.", param="after")
        return _json(job_list(await TenantJobs(visit.tenant_id, world).page(query.limit, query.after, query.status)))

    @app.get(f"{ROUTE}/{{job_id}}", name="retrieve")
    async def retrieve(job_id: str, visit: Visiting) -> Response:
        job = await one_of(visit, job_id).find(job_id)
        return _json(await job_view(job, world), poll_headers(job))

    @app.delete(f"{ROUTE}/{{job_id}}", name="cancel")
    async def delete(job_id: str, visit: Visiting) -> Response:
        visit.exchange.is_quiet = False
        return _json(await job_view(await one_of(visit, job_id).delete(job_id), world))

    @app.post(f"{ROUTE}/{{job_id}}/cancel", name="cancel")
    async def cancel(job_id: str, visit: Visiting) -> Response:
        visit.exchange.is_quiet = False
        return _json(await job_view(await one_of(visit, job_id).cancel(job_id), world))

    return app


def _json(value: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), 200, headers, "application/json")
