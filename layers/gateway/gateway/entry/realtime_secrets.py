"""The realtime secrets function: POST /v1/realtime/client_secrets."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from mangum import Mangum

from gateway.entry.realtime_wiring import aws_grants
from gateway.entry.rest import rest_app
from gateway.entry.visits import Reception, Visiting
from gateway.entry.wiring import aws_world
from gateway.model.errors import PayloadTooLarge
from gateway.pipeline.decode import check_json_type
from gateway.pipeline.realtime_secret import client_secret
from gateway.ports import World
from gateway.realtime_ports import Grants

MAX_BODY_BYTES = 120 * 1024
"""What a session can be told in one message."""


def realtime_secrets_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(realtime_secrets_app(aws_world(), aws_grants()), lifespan="off")


def realtime_secrets_app(world: World, grants: Grants) -> FastAPI:
    app = rest_app(Reception(world, "realtime"))

    @app.post("/v1/realtime/client_secrets", name="client_secrets")
    async def create(request: Request, visit: Visiting) -> dict[str, Any]:
        check_json_type(request.headers.get("content-type", ""))
        body = await request.body()
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        made = await client_secret(body, request.headers.get("authorization", ""), visit.principal, world, grants)
        visit.note(model=made["session"]["model"])
        return made

    return app
