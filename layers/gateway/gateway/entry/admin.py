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
from gateway.entry.admin_webhooks import webhook_routes
from gateway.entry.admin_wiring import admin_world
from gateway.entry.rest import rest_app
from gateway.record_ports import UsageStore


def admin_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(admin_app(*admin_world()), lifespan="off")


def admin_app(world: AdminWorld, usage: UsageStore) -> FastAPI:
    app = rest_app()
    reports = usage_routes(lambda request: admitted(request, world), usage, world.clock)
    routes = (job_routes, key_routes, user_routes, webhook_routes, tenant_routes)
    for router in (reports, *(routes_of(world) for routes_of in routes)):
        app.include_router(router, prefix="/admin")
    return app
