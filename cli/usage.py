"""gateway usage ..."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .client import Gateway, connect
from .output import AsJson, print_tables, table_of
from .output import show as show_answer

FIGURES = ("requests", "errors", "refused", "lost", "total_tokens", "cost_usd")
By = Annotated[str | None, typer.Option("--by", metavar="NAMES", help="tenant,day,user,key,operation,provider,model")]
First = Annotated[str | None, typer.Option("--from", metavar="DAY", help="As 2026-11-01; else this month's first.")]
Last = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Included; else today.")]


def show(
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="Else all tenants.")] = None,
    *,
    by: By = None,
    first: First = None,
    last: Last = None,
    as_json: AsJson = False,
) -> None:
    """What was used in these days (UTC): by model for one tenant, by tenant for all, or by what you say."""
    group_by = by or ("tenant" if tenant is None else "model")
    report = _whole(connect(), {"tenant_id": tenant, "group_by": group_by, "from": first, "to": last})
    if as_json:
        show_answer(report, as_json)
        return
    total = {**report["total"], **dict.fromkeys(report["group_by"], ""), report["group_by"][0]: "total"}
    print_tables(table_of([*report["data"], total], (*report["group_by"], *FIGURES)))


def _whole(gateway: Gateway, query: dict[str, Any]) -> dict[str, Any]:
    """A report with the rows of all pages."""
    report = page = gateway.get("/usage", **query)
    while page["has_more"]:
        page = gateway.get("/usage", **query, after=page["next"])
        report["data"] += page["data"]
    return {name: value for name, value in report.items() if name not in ("has_more", "next")}
