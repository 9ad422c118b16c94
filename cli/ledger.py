"""gateway ledger ..."""

from __future__ import annotations

from typing import Annotated

import typer

from .client import connect, place
from .options import TenantId
from .output import AsJson, print_tables, table_of
from .output import show as show_answer

SPENDING = ("window", "models", "spent_usd", "held_usd", "resets_at")
BUDGETS = ("window", "models", "limit_usd", "spent_usd", "held_usd", "left_usd", "resets_at")
LIMITS = ("kind", "models", "limit", "used", "left")


def show(
    tenant: TenantId,
    *,
    user: Annotated[str | None, typer.Option("--user", help="Of this user, not of the whole tenant.")] = None,
    as_json: AsJson = False,
) -> None:
    """What is spent, held and left at this moment, budget by budget and limit by limit."""
    whose = place("tenants", tenant) if user is None else place("tenants", tenant, "users", user)
    books = connect().get(f"{whose}/ledger")
    if as_json:
        show_answer(books, as_json)
        return
    head = {name: books[name] for name in ("tenant_id", "user_id", "running_requests", "running_jobs", "at")}
    tables = [table_of([head], list(head)), table_of(books["spending"], SPENDING)]
    if books["budgets"]:
        tables.append(table_of(books["budgets"], BUDGETS))
    if books["limits"]:
        tables.append(table_of(books["limits"], LIMITS))
    print_tables(*tables)
