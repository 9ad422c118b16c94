"""The files function: /v1/files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.responses import RedirectResponse
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field

from gateway.entry.file_requests import read_announcement, read_form
from gateway.entry.rest import IdempotencyKey, rest_app
from gateway.entry.visits import Reception, Visiting
from gateway.entry.wiring import aws_world
from gateway.model.errors import InvalidRequest, UnsupportedMediaType
from gateway.model.file import Purpose, is_file_id
from gateway.pipeline.store_files import TenantFiles, described
from gateway.pipeline.visit import Visit
from gateway.ports import World


class Listing(BaseModel):
    """`order`: ids of newer files sort first, and S3 lists one way only."""

    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: str | None = None
    purpose: Purpose | None = None
    order: Literal["desc"] = "desc"


def files_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(files_app(aws_world()), lifespan="off")


def files_app(world: World) -> FastAPI:
    app = rest_app(Reception(world, "files"))
    _add_routes_that_write(app, world)
    _add_routes_that_read(app, world)
    return app


def files_of(visit: Visit, world: World) -> TenantFiles:
    """The files of the key's tenant."""
    return TenantFiles(visit.tenant_id, world.files, world.clock)


def one_of(visit: Visit, file_id: str, world: World) -> TenantFiles:
    """The same, for a request about one of them."""
    if is_file_id(file_id):
        visit.note(file_id=file_id)
    return files_of(visit, world)


def _add_routes_that_write(app: FastAPI, world: World) -> None:
    @app.post("/v1/files", name="create")
    async def create(request: Request, visit: Visiting, idempotency_key: IdempotencyKey = None) -> dict[str, Any]:
        files = files_of(visit, world)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == "application/json":
            told = read_announcement(await request.body())
            file = await files.announce(told.new_file(), told.bytes, idempotency_key)
        elif media_type == "multipart/form-data":
            new, data = await read_form(request)
            file = await files.store(new, data, idempotency_key)
        else:
            said = f"not '{media_type or 'none'}'"
            raise UnsupportedMediaType(f"Send Content-Type multipart/form-data or application/json, {said}.")
        visit.note(file_id=file.id)
        if not file.is_pending:
            visit.note_bytes(file.size_bytes)
        return await files.describe(file)

    @app.post("/v1/files/{file_id}/complete", name="complete")
    async def complete(file_id: str, visit: Visiting) -> dict[str, Any]:
        files = one_of(visit, file_id, world)
        file = await files.complete(file_id)
        visit.note_bytes(file.size_bytes)
        return await files.describe(file)

    @app.delete("/v1/files/{file_id}", name="delete")
    async def delete(file_id: str, visit: Visiting) -> dict[str, Any]:
        await one_of(visit, file_id, world).delete(file_id)
        return {"id": file_id, "object": "file", "deleted": True}


def _add_routes_that_read(app: FastAPI, world: World) -> None:
    @app.get("/v1/files", name="list")
    async def list_files(query: Annotated[Listing, Query()], visit: Visiting) -> dict[str, Any]:
        files = files_of(visit, world)
        if query.after is not None and not is_file_id(query.after):
            raise InvalidRequest("after is not the id of a file.", param="after")
        page = await files.page(query.limit, query.after, query.purpose)
        data = [described(file) for file in page.files]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        return {"object": "list", "data": data, **ends, "has_more": page.has_more}

    @app.get("/v1/files/{file_id}", name="retrieve")
    async def retrieve(file_id: str, visit: Visiting) -> dict[str, Any]:
        files = one_of(visit, file_id, world)
        return await files.describe(await files.find(file_id))

    @app.get("/v1/files/{file_id}/content", name="content")
    async def content(file_id: str, visit: Visiting) -> RedirectResponse:
        file, link = await one_of(visit, file_id, world).content(file_id)
        visit.note_bytes(file.size_bytes)
        return RedirectResponse(link.url, 302, {"cache-control": "no-store"})
