"""The admin function: everything under /admin. A router for each noun, in a file of its own."""

from __future__ import annotations

from fastapi import FastAPI
from mangum import Mangum

from gateway.entry.admin_keys import key_routes
from gateway.entry.admin_tenants import tenant_routes
from gateway.entry.admin_users import user_routes
from gateway.entry.admin_wiring import admin_world
from gateway.entry.rest import rest_app
from gateway.ports import AdminWorld


def admin_handler() -> Mangum:
    """What Lambda calls."""
    return Mangum(admin_app(admin_world()), lifespan="off")


def admin_app(world: AdminWorld) -> FastAPI:
    app = rest_app()
    for routes in (key_routes, user_routes, tenant_routes):
        app.include_router(routes(world), prefix="/admin")
    return app
