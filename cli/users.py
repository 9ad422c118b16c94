"""gateway user ..."""

from __future__ import annotations

import typer

from .client import connect, place
from .options import Assignments, File, Name, Replace, TenantId, UserId
from .output import AsJson, show, show_all
from .settings import settings

app = typer.Typer(help="Users of a tenant that have settings of their own.", no_args_is_help=True)
COLUMNS = ("id", "name", "status", "allowance", "changed_at")


@app.command()
def create(
    tenant: TenantId,
    user: UserId,
    *,
    name: Name = None,
    assign: Assignments = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Give a user settings of his own."""
    body = settings(file, assign or [], id=user, name=name)
    show(connect().post(place("tenants", tenant, "users"), body), as_json)


@app.command("list")
def list_all(tenant: TenantId, *, as_json: AsJson = False) -> None:
    """Users that have settings of their own, or a key."""
    show_all(connect().all(place("tenants", tenant, "users")), COLUMNS, as_json)


@app.command("show")
def show_one(tenant: TenantId, user: UserId, *, as_json: AsJson = False) -> None:
    """One user."""
    show(connect().get(place("tenants", tenant, "users", user)), as_json)


@app.command("set")
def change(
    tenant: TenantId,
    user: UserId,
    *,
    name: Name = None,
    assign: Assignments = None,
    file: File = None,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Change some settings, or with --replace all of them; that also makes a user."""
    body = settings(file, assign or [], name=name)
    gateway = connect()
    ask = gateway.put if replace else gateway.patch
    show(ask(place("tenants", tenant, "users", user), body), as_json)


@app.command()
def disable(tenant: TenantId, user: UserId, *, as_json: AsJson = False) -> None:
    """Refuse all his requests, from the next one on."""
    show(connect().post(place("tenants", tenant, "users", user, "disable")), as_json)


@app.command()
def enable(tenant: TenantId, user: UserId, *, as_json: AsJson = False) -> None:
    """Let him in again."""
    show(connect().post(place("tenants", tenant, "users", user, "enable")), as_json)
