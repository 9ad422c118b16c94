"""The admin function: everything under /admin. A router for each noun, in a file of its own."""

from __future__ import annotations

from fastapi import FastAPI
from mangum import Mangum

from gateway.admin_ports import AdminWorld
from gateway.entry.admin_jobs import job_routes
from gateway.entry.admin_keys import key_routes
from gateway.entry.admin_requests import admitted
from gateway.entry.admin_tenants import tenant_routes
from gateway.entry.admin_usage import usage_routes
from gateway.entry.admin_users import user_routes
from gateway.entry.admin_wiring import admin_world
from gateway.entry.rest import rest_app
from gateway.record_ports import UsageStore


def admin_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(admin_app(*admin_world()), lifespan="off")


def admin_app(world: AdminWorld, usage: UsageStore) -> FastAPI:
    app = rest_app()
    reports = usage_routes(lambda request: admitted(request, world), usage, world.clock)
    for router in (reports, job_routes(world), key_routes(world), user_routes(world), tenant_routes(world)):
        app.include_router(router, prefix="/admin")
    return app
