"""gateway: administers an LLM gateway. Reads GATEWAY_URL and GATEWAY_ADMIN_KEY."""

from __future__ import annotations

import sys

import typer

from . import keys, ledger, tenants, usage, users, webhooks
from .client import Refused, Unreachable
from .output import complain
from .settings import BadSetting

app = typer.Typer(
    name="gateway",
    help="Administer an LLM gateway: tenants, users, API keys. Reads GATEWAY_URL and GATEWAY_ADMIN_KEY.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(tenants.app, name="tenant")
app.add_typer(users.app, name="user")
app.add_typer(keys.app, name="key")
app.add_typer(webhooks.app, name="webhook-secret")
app.command("ledger")(ledger.show)
app.command("usage")(usage.show)


def main() -> None:
    """Exits with 1 when the gateway refuses, with 2 when it was not asked rightly."""
    try:
        app()
    except Refused as refused:
        complain(refused.lines())
        sys.exit(1)
    except Unreachable as failure:
        complain([str(failure)])
        sys.exit(1)
    except BadSetting as error:
        complain([str(error)])
        sys.exit(2)
