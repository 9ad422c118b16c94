"""What the administrator's requests have in common: his key, what comes with it, and how he is answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from gateway.admin_ports import AdminWorld
from gateway.model.secret import Secret
from gateway.pipeline.administrator import Act, administrator, once
from gateway.pipeline.carry_out import Answer
from gateway.pipeline.decode import check_json_type


class Listing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=100)] = 100
    after: Annotated[str, Field(min_length=1, max_length=256)] | None = None


async def admitted(request: Request, world: AdminWorld) -> Secret:
    """Raises InvalidApiKey (401), AdmissionUnavailable (503)."""
    return await administrator(request.headers.get("authorization"), world.admin_key)


async def act_of(request: Request, world: AdminWorld) -> Act:
    """Raises as `admitted`, UnsupportedMediaType (415), InvalidRequest (400)."""
    key = await admitted(request, world)
    body = await request.body()
    if body:
        check_json_type(request.headers.get("content-type", ""))
    # To delete twice is to delete once; to make or to change something twice is not.
    named = request.headers.get("idempotency-key") if request.method != "DELETE" else None
    return Act(
        request_id=request.state.arrival.request_id,
        key=key,
        body=body,
        source_ip=request.client.host if request.client else None,
        if_match=request.headers.get("if-match"),
        once=once(named, request.method, request.url.path, body),
    )


def reply(answer: Answer) -> JSONResponse:
    headers = {"cache-control": "no-store"}  # it may show a key
    if answer.etag is not None:
        headers["etag"] = answer.etag
    if answer.is_replay:
        headers["idempotency-replayed"] = "true"
    return JSONResponse(answer.body, answer.status, headers)
