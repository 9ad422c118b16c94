"""The models function: GET /v1/models, GET /v1/models/{id}, GET /openapi.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse
from mangum import Mangum
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

from gateway.adapters.telemetry import log_defect
from gateway.entry.http import Arrival, error_headers
from gateway.entry.wiring import aws_world, shared_folder
from gateway.model.errors import GatewayError, InternalError, MethodNotAllowed, RouteNotFound
from gateway.pipeline.authenticate import authenticate
from gateway.pipeline.list_models import approved_models, describe
from gateway.pipeline.route import find_approved
from gateway.ports import World

Authorization = Annotated[str | None, Header()]


def models_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(models_app(aws_world(), shared_folder()), lifespan="off")


def models_app(world: World, shared: Path) -> FastAPI:
    """The contract of these routes is `shared/openapi.yaml`, so FastAPI's own document is off."""
    app = FastAPI(openapi_url=None)
    app.middleware("http")(_name_the_request)
    document = yaml.load((shared / "openapi.yaml").read_bytes(), Loader=yaml.CSafeLoader)

    @app.get("/v1/models")
    async def list_models(authorization: Authorization = None) -> dict[str, Any]:
        principal = await authenticate(authorization, world)
        return {"object": "list", "data": approved_models(principal.tenant, world.catalog, world.clock.now_s())}

    @app.get("/v1/models/{model:path}")
    async def retrieve_model(model: str, authorization: Authorization = None) -> dict[str, Any]:
        principal = await authenticate(authorization, world)
        return describe(*find_approved(model, principal.tenant, world.catalog, world.clock.now_s()))

    @app.get("/openapi.json")
    async def openapi() -> JSONResponse:
        return JSONResponse(document)

    _answer_errors_in_one_shape(app)
    return app


async def _name_the_request(request: Request, call_next: RequestResponseEndpoint) -> Response:
    request.state.arrival = arrival = Arrival.of(request.scope)
    try:
        response = await call_next(request)
    except Exception as defect:  # the last resort: whatever it is, the client gets an answer and the log the place
        log_defect(defect, arrival.request_id)
        error = InternalError("The gateway failed. Quote the request id when you report this.")
        response = JSONResponse(error.wire(arrival.request_id), error.status, error_headers(error))
    response.headers["x-request-id"] = arrival.trace_id
    response.headers["x-gateway-request-id"] = arrival.request_id
    return response


def _answer_errors_in_one_shape(app: FastAPI) -> None:
    def refuse(request: Request, error: GatewayError) -> JSONResponse:
        return JSONResponse(error.wire(request.state.arrival.request_id), error.status, error_headers(error))

    @app.exception_handler(GatewayError)
    async def refused(request: Request, error: GatewayError) -> JSONResponse:
        return refuse(request, error)

    @app.exception_handler(HTTPException)
    async def not_routed(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 405:
            return refuse(request, MethodNotAllowed(f"{request.url.path} does not take {request.method}."))
        return refuse(request, RouteNotFound(f"No such route: {request.url.path}."))
