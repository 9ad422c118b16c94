"""What the FastAPI functions share: ids of requests, one shape for every error, a line in the log for each request."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

from gateway.adapters.telemetry import log_defect, name_the_lines
from gateway.entry.http import Arrival, cors_headers, error_body, error_headers
from gateway.entry.powertools import RestRecords, function_name
from gateway.entry.visits import Reception, see_out
from gateway.model.errors import (
    Detail,
    GatewayError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RouteNotFound,
    UnreadableBody,
)
from gateway.model.schema_parts import pointer
from gateway.model.telemetry import RestLine, outcome_of

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
_PARTS_OF_A_REQUEST = ("query", "header", "path", "body")


def rest_app(reception: Reception | None = None) -> FastAPI:
    """An application without routes. The contract is `shared/openapi.yaml`, so FastAPI's own document is off.

    `reception`: for those whose routes are `Visiting`.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.reception = reception
    app.state.records = RestRecords()
    app.middleware("http")(_name_the_request)

    @app.exception_handler(GatewayError)
    async def refused(request: Request, error: GatewayError) -> JSONResponse:
        request.state.error = error
        return JSONResponse(error_body(error, request.state.arrival), error.status, error_headers(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return await refused(request, _invalid_request(error.errors()))

    @app.exception_handler(HTTPException)
    async def not_routed(request: Request, error: HTTPException) -> JSONResponse:
        return await refused(request, _of_status(request, error))

    return app


@contextmanager
def validated() -> Iterator[None]:
    """What a model of pydantic refuses inside becomes InvalidRequest or UnreadableBody (400)."""
    try:
        yield
    except ValidationError as error:
        raise _invalid_request(error.errors(include_url=False, include_input=False)) from None


def _invalid_request(errors: Sequence[Any]) -> InvalidRequest:
    """`param` and message are of the first violation, `details` are all of them."""
    if errors[0]["type"] == "json_invalid":
        return UnreadableBody("The request body is not valid JSON.")
    places = [_place(error["loc"]) for error in errors]
    details = tuple(Detail(pointer(place), error["msg"]) for place, error in zip(places, errors, strict=True))
    param = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in places[0]).removeprefix(".")
    message = f"{errors[0]['msg']}, at '{param}'." if param else f"{errors[0]['msg']}."
    return InvalidRequest(message, param=param or None, details=details)


def _place(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return location[1:] if location and location[0] in _PARTS_OF_A_REQUEST else location


async def _name_the_request(request: Request, call_next: RequestResponseEndpoint) -> Response:
    request.state.arrival = arrival = Arrival.of(request.scope)
    name_the_lines(arrival.ids)
    request.state.error = request.state.exchange = None
    started_s = time.monotonic()
    try:
        response = await call_next(request)
    except Exception as defect:  # the last resort: whatever it is, the client gets an answer and the log the place
        log_defect(defect, arrival.request_id)
        request.state.error = error = InternalError("The gateway failed. Quote the request id when you report this.")
        response = JSONResponse(error_body(error, arrival), error.status, error_headers(error))
    response.headers["x-request-id"] = arrival.echoed_id
    response.headers["x-gateway-request-id"] = arrival.request_id
    response.headers.update(cors_headers())
    await see_out(request, response)
    request.app.state.records.write(_line_of(request, response.status_code, time.monotonic() - started_s))
    return response


def _line_of(request: Request, status: int, took_s: float) -> RestLine:
    error: GatewayError | None = request.state.error
    arrival: Arrival = request.state.arrival
    principal = request.state.exchange.principal if request.state.exchange else None
    return RestLine(
        event="request.failed" if error else "request.completed",
        request_id=arrival.request_id,
        lambda_request_id=arrival.lambda_request_id,
        trace_id=arrival.trace.id,
        tenant_id=principal.tenant.id if principal else None,
        user_id=principal.user.id if principal else None,
        key_id=principal.key.id if principal else None,
        function=function_name(),
        method=request.method,
        route=getattr(request.scope.get("route"), "path", None),
        status=status,
        outcome=outcome_of(error),
        error=error.code if error else None,
        latency_ms=round(took_s * 1000, 3),
    )


def _of_status(request: Request, error: HTTPException) -> GatewayError:
    """What the framework refuses by itself."""
    if error.status_code == 405:
        return MethodNotAllowed(f"{request.url.path} does not take {request.method}.")
    if error.status_code == 404:
        return RouteNotFound(f"No such route: {request.url.path}.")
    return UnreadableBody(f"The request body cannot be read: {error.detail}")
