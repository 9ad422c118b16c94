"""The batches function: /v1/batches."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.entry.door import Operation, with_orders
from gateway.entry.http import App, Responder
from gateway.entry.limit_headers import limit_headers
from gateway.entry.rest import rest_app
from gateway.entry.visits import Reception, Visiting
from gateway.model.batch_view import BatchList
from gateway.model.errors import InvalidRequest
from gateway.pipeline import batches
from gateway.pipeline.batch_respond import batch_view, batch_views
from gateway.pipeline.batch_results import JSONL
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.tenant_batches import TenantBatches, is_batch_id
from gateway.pipeline.visit import Visit
from gateway.ports import World

ROUTE = "/v1/batches"
LARGER = "Send a file of its lines with the purpose 'batch' to POST /v1/files, and its id as input_file_id."
MORE, PLACE = "x-has-more", "x-next-after"
"""Whether there are further results by now, and where the next page begins, now or later."""


class Listing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    after: str | None = None


class Results(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100
    after: str | None = None


def batches_app(world: World) -> App:
    async def answer(inbound: Inbound, exchange: Exchange, responder: Responder) -> None:
        job = await batches.run(inbound, exchange, world)
        await responder.json(200, await batch_view(job, world), limit_headers(exchange.ticket))

    return with_orders(Operation("batches", ROUTE, answer, takes_prefer=False, larger=LARGER), _known_app(world), world)


def _known_app(world: World) -> FastAPI:
    """Only what changes a batch leaves a record."""
    app = rest_app(Reception(world, "batches", is_quiet=True, is_limited=False))

    def one_of(visit: Visit, batch_id: str) -> TenantBatches:
        if is_batch_id(batch_id):
            visit.note(batch_id=batch_id)
        return TenantBatches(visit.tenant_id, world)

    @app.get(ROUTE, name="list")
    async def list_batches(query: Annotated[Listing, Query()], visit: Visiting) -> Response:
        if query.after is not None and not is_batch_id(query.after):
            raise InvalidRequest("after is not the id of a batch.", param="after")
        page = await TenantBatches(visit.tenant_id, world).page(query.limit, query.after)
        data = await batch_views(page.jobs, world)
        first_id, last_id = (data[0].id, data[-1].id) if data else (None, None)
        return _json(BatchList(data=data, first_id=first_id, last_id=last_id, has_more=page.has_more))

    @app.get(f"{ROUTE}/{{batch_id}}", name="retrieve")
    async def retrieve(batch_id: str, visit: Visiting) -> Response:
        return _json(await batch_view(await one_of(visit, batch_id).find(batch_id), world))

    @app.post(f"{ROUTE}/{{batch_id}}/cancel", name="cancel")
    async def cancel(batch_id: str, visit: Visiting) -> Response:
        visit.exchange.is_quiet = False
        return _json(await batch_view(await one_of(visit, batch_id).cancel(batch_id), world))

    @app.get(f"{ROUTE}/{{batch_id}}/results", name="results")
    async def results(batch_id: str, query: Annotated[Results, Query()], visit: Visiting) -> Response:
        page = await one_of(visit, batch_id).results(batch_id, query.after, query.limit)
        headers = {PLACE: page.cursor.text(), MORE: str(page.has_more).lower()}
        return Response(b"".join(page.lines), 200, headers, JSONL)

    return app


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), 200, media_type="application/json")
