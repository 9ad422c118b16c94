"""The provider webhooks function: POST /webhooks/{provider}, where providers say that what they have begun has ended.

Whoever can reach the gateway can send to it: nothing of a message is believed, or read, before its signature is good.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from mangum import Mangum

from gateway.entry.http import Arrival
from gateway.entry.powertools import report
from gateway.entry.record_wiring import callback_world
from gateway.entry.rest import rest_app
from gateway.model.errors import PayloadTooLarge
from gateway.model.telemetry import CallbackLine, provider_name
from gateway.pipeline.callbacks import CallbackWorld, heard

ROUTE = "/webhooks/{provider}"
MAX_BODY_BYTES = 65_536
"""Messages are a few hundred bytes."""


def provider_webhooks_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(provider_webhooks_app(callback_world()), lifespan="off")


def provider_webhooks_app(world: CallbackWorld) -> FastAPI:
    app = rest_app()

    @app.post(ROUTE, name="hear")
    async def hear(provider: str, request: Request) -> JSONResponse:
        found = await heard(provider, request.headers, await _body(request), world)
        if found is not None:
            arrival: Arrival = request.state.arrival
            report(
                CallbackLine(
                    lambda_request_id=arrival.lambda_request_id,
                    provider=provider_name(provider),
                    kind=found.news.kind,
                    was_awaited=found.was_awaited,
                )
            )
        return JSONResponse({"received": True})

    return app


async def _body(request: Request) -> bytes:
    """Raises PayloadTooLarge (413)."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLarge(f"The message is larger than {MAX_BODY_BYTES} bytes.")
    return bytes(body)
