"""gateway webhook-secret ..."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .client import connect, place
from .options import TenantId
from .output import AsJson, plain, show
from .settings import seconds

app = typer.Typer(help="What a tenant's webhooks are signed with.", no_args_is_help=True)
Plain = Annotated[bool, typer.Option("--plain", help="Print the secret alone.")]
Overlap = Annotated[str, typer.Option(metavar="TIME", help="How long the old one signs as well: 0s, 7d.")]


@app.command("show")
def show_one(tenant: TenantId, *, only_secret: Plain = False, as_json: AsJson = False) -> None:
    """The secret. The audit log has it that it was shown."""
    _show_secret(connect().get(place("tenants", tenant, "webhook-secret")), only_secret, as_json)


@app.command()
def rotate(tenant: TenantId, *, overlap: Overlap = "24h", only_secret: Plain = False, as_json: AsJson = False) -> None:
    """Replace it by another one, and show that."""
    answer = connect().post(place("tenants", tenant, "webhook-secret", "rotate"), {"overlap_s": seconds(overlap)})
    _show_secret(answer, only_secret, as_json)


def _show_secret(answer: dict[str, Any], only_secret: bool, as_json: bool) -> None:
    if only_secret:
        plain(answer["secret"])
    else:
        show(answer, as_json)
