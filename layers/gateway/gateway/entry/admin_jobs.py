"""/admin/jobs: where a job is carried on, for whoever runs the gateway."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.admin_ports import AdminWorld
from gateway.entry.admin_requests import admitted, reply
from gateway.pipeline.admin_jobs import job_of


def job_routes(world: AdminWorld) -> APIRouter:
    router = APIRouter()

    @router.get("/jobs/{job_id}")
    async def retrieve(request: Request, job_id: str) -> JSONResponse:
        await admitted(request, world)
        return reply(await job_of(job_id, world))

    return router
