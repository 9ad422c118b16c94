"""The models function: GET /v1/models, GET /v1/models/{id}, and the contracts GET /openapi.json, GET /asyncapi.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from mangum import Mangum

from gateway.entry.contracts import contracts
from gateway.entry.rest import rest_app
from gateway.entry.visits import Reception, Visiting
from gateway.entry.wiring import aws_world, shared_folder
from gateway.pipeline.list_models import approved_models, described_model
from gateway.ports import World


def models_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(models_app(aws_world(), shared_folder()), lifespan="off")


def models_app(world: World, shared: Path) -> FastAPI:
    app = rest_app(Reception(world, "models", is_quiet=True))
    http, socket = contracts(shared)

    @app.get("/v1/models", name="list")
    async def list_models(visit: Visiting) -> dict[str, Any]:
        await world.health.refresh()
        data = approved_models(visit.principal, world.catalog, world.health, world.clock.now_s())
        return {"object": "list", "data": data}

    @app.get("/v1/models/{model:path}", name="retrieve")
    async def retrieve_model(model: str, visit: Visiting) -> dict[str, Any]:
        await world.health.refresh()
        return described_model(model, visit.principal, world.catalog, world.health, world.clock.now_s())

    @app.get("/openapi.json")
    async def openapi() -> JSONResponse:
        return JSONResponse(http)

    @app.get("/asyncapi.json")
    async def asyncapi() -> JSONResponse:
        return JSONResponse(socket)

    return app
