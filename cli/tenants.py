"""gateway tenant ..."""

from __future__ import annotations

from typing import Annotated

import typer

from .client import connect, place
from .options import Approve, Assignments, File, Name, Replace, TenantId
from .output import AsJson, show, show_all
from .settings import settings

app = typer.Typer(help="Teams or customers: what they may use, and how much of it.", no_args_is_help=True)
COLUMNS = ("id", "name", "status", "approvals", "shards", "changed_at")


@app.command()
def create(
    tenant: TenantId,
    *,
    name: Name = None,
    approve: Approve = None,
    assign: Assignments = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant. It may use no model until some are approved."""
    body = settings(file, assign or [], id=tenant, name=name, approvals=approve)
    show(connect().post("/tenants", body), as_json)


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """All tenants."""
    show_all(connect().all("/tenants"), COLUMNS, as_json)


@app.command("show")
def show_one(tenant: TenantId, *, as_json: AsJson = False) -> None:
    """One tenant with its settings."""
    show(connect().get(place("tenants", tenant)), as_json)


@app.command("set")
def change(
    tenant: TenantId,
    *,
    name: Name = None,
    approve: Approve = None,
    assign: Assignments = None,
    file: File = None,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Change some settings, or with --replace all of them."""
    body = settings(file, assign or [], name=name, approvals=approve)
    gateway = connect()
    ask = gateway.put if replace else gateway.patch
    show(ask(place("tenants", tenant), body), as_json)


@app.command()
def disable(tenant: TenantId, *, as_json: AsJson = False) -> None:
    """Refuse all its requests, from the next one on."""
    show(connect().post(place("tenants", tenant, "disable")), as_json)


@app.command()
def enable(tenant: TenantId, *, as_json: AsJson = False) -> None:
    """Let it in again."""
    show(connect().post(place("tenants", tenant, "enable")), as_json)


@app.command()
def delete(
    tenant: TenantId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a disabled tenant with its users, keys and types."""
    if not yes:
        typer.confirm(f"Delete the tenant {tenant} with all its keys, for good?", abort=True, err=True)
    show(connect().delete(place("tenants", tenant)), as_json)
