"""The types function: /v1/types, the Type Registry of a tenant."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field

from gateway.entry.rest import IdempotencyKey, rest_app, validated
from gateway.entry.visits import Reception, Visiting
from gateway.entry.wiring import aws_world
from gateway.model.errors import PayloadTooLarge, UnreadableBody, UnsupportedMediaType
from gateway.pipeline.idempotency_key import claim_of
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.tenant_types import TenantTypes
from gateway.pipeline.visit import Visit
from gateway.ports import World

# Holding 256 KB of schema against its dialect takes seconds, and there are 29 of them.
MAX_BODY_BYTES = 512 * 1024


class Registration(BaseModel):
    model_config = ConfigDict(extra="forbid")
    types: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100)]


class Listing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    pattern: str | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 100


def types_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(types_app(aws_world()), lifespan="off")


def types_app(world: World) -> FastAPI:
    app = rest_app(Reception(world, "types"))

    def types_of(visit: Visit) -> TenantTypes:
        return TenantTypes(visit.tenant_id, world.types)

    @app.post("/v1/types", status_code=201, name="register")
    async def register(request: Request, visit: Visiting, idempotency_key: IdempotencyKey = None) -> dict[str, Any]:
        content_type, body = request.headers.get("content-type", ""), await request.body()
        registration, now_s = read_registration(content_type, body), world.clock.now_s()
        claimed = None
        if idempotency_key is not None:
            inbound = Inbound("", content_type, body, path="/v1/types", idempotency_key=idempotency_key)
            claimed = claim_of(inbound, visit.tenant_id, visit.exchange.request_id, now_s)
        registered = await types_of(visit).register(registration.types, claimed, now_s)
        visit.note(type_ids=[each["id"] for each in registered])
        return {"object": "list", "data": registered}

    @app.get("/v1/types", name="list")
    async def list_types(query: Annotated[Listing, Query()], visit: Visiting) -> dict[str, Any]:
        types = types_of(visit)
        page = await types.page(query.pattern, query.after, query.limit)
        first, last = (page.data[0]["id"], page.data[-1]["id"]) if page.data else (None, None)
        return {"object": "list", "data": page.data, "first_id": first, "last_id": last, "has_more": page.has_more}

    @app.get("/v1/types/{type_id}", name="retrieve")
    async def retrieve(type_id: str, visit: Visiting) -> dict[str, Any]:
        found = await types_of(visit).retrieve(type_id)
        visit.note(type_ids=[found["id"]])
        return found

    @app.delete("/v1/types/{type_id}", name="delete")
    async def delete(type_id: str, visit: Visiting) -> dict[str, Any]:
        await types_of(visit).delete(type_id)
        visit.note(type_ids=[type_id])
        return {"id": type_id, "object": "type", "deleted": True}

    return app


def read_registration(content_type: str, body: bytes) -> Registration:
    """Raises UnsupportedMediaType (415), PayloadTooLarge (413), InvalidRequest (400)."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType(f"Send Content-Type: application/json, not '{media_type or 'none'}'.")
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    try:
        decoded = msgspec.json.decode(body)  # which unlike pydantic takes no NaN
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableBody(f"The request body is not valid JSON: {error}") from None
    with validated():
        return Registration.model_validate(decoded)
