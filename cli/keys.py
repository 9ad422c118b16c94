"""gateway key ..."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .client import connect, place
from .options import KeyId, TenantId, UserId
from .output import AsJson, complain, plain, show, show_all
from .settings import instant, seconds, settings

app = typer.Typer(help="API keys. Each is shown once, when it is issued.", no_args_is_help=True)
COLUMNS = ("id", "user_id", "hint", "label", "status", "expires_at", "changed_at")

Label = Annotated[str | None, typer.Option(help="What it is for.")]
Scopes = Annotated[
    list[str] | None, typer.Option("--scope", metavar="SCOPE", help="What it is good for, as chat; repeat it.")
]
Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="PATTERN", help="Of the tenant's models these only; repeat it.")
]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="WHEN", help="90d, 2027-01-31 or never, which is the default.")
]
Plain = Annotated[bool, typer.Option("--plain", help="Print the key alone.")]


@app.command()
def issue(
    tenant: TenantId,
    user: UserId,
    *,
    label: Label = None,
    scope: Scopes = None,
    model: Models = None,
    expires: Expires = None,
    only_key: Plain = False,
    as_json: AsJson = False,
) -> None:
    """Issue a key for a user, and show it."""
    body = settings(None, [], user_id=user, label=label, scopes=scope, models=model)
    if expires is not None:
        body["expires_at"] = instant(expires)
    _show_key(connect().post(place("tenants", tenant, "keys"), body), only_key, as_json)


@app.command("list")
def list_all(
    tenant: TenantId,
    *,
    user: Annotated[str | None, typer.Option("--user", help="Keys of this user only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Keys of a tenant, also those that are revoked or expired."""
    show_all(connect().all(place("tenants", tenant, "keys"), user_id=user), COLUMNS, as_json)


@app.command("show")
def show_one(tenant: TenantId, key: KeyId, *, as_json: AsJson = False) -> None:
    """One key; not the key itself, which nobody has any more."""
    show(connect().get(place("tenants", tenant, "keys", key)), as_json)


@app.command("set")
def change(
    tenant: TenantId,
    key: KeyId,
    *,
    label: Label = None,
    scope: Scopes = None,
    model: Models = None,
    expires: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Change its label, scopes, models, or when it expires."""
    body = settings(None, [], label=label, scopes=scope, models=model)
    if expires is not None:
        body["expires_at"] = instant(expires)
    show(connect().patch(place("tenants", tenant, "keys", key), body), as_json)


@app.command()
def rotate(
    tenant: TenantId,
    key: KeyId,
    *,
    overlap: Annotated[str, typer.Option(metavar="TIME", help="How long the old key goes on working: 1h.")] = "0s",
    only_key: Plain = False,
    as_json: AsJson = False,
) -> None:
    """Issue a key like this one, and end this one."""
    body = {"overlap_s": seconds(overlap)}
    _show_key(connect().post(place("tenants", tenant, "keys", key, "rotate"), body), only_key, as_json)


@app.command()
def revoke(tenant: TenantId, key: KeyId, *, as_json: AsJson = False) -> None:
    """Refuse it from its next request on, for good."""
    show(connect().post(place("tenants", tenant, "keys", key, "revoke")), as_json)


def _show_key(answer: dict[str, Any], only_key: bool, as_json: bool) -> None:
    if only_key:
        plain(answer["key"])
        return
    show(answer, as_json)
    if not as_json:
        complain(["Keep the key now: it is not shown again."])
