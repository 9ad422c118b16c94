"""What a person reads, or with --json a program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print the gateway's answer as JSON.")]
Row = dict[str, Any]
_TIMES = ("created_at", "changed_at", "expires_at", "resets_at", "previous_until", "at")
_LEFT_OUT = ("object", "warnings", "etag")
MIN_WIDTH = 100


def show(answer: Row, as_json: bool, left_out: Sequence[str] = ()) -> None:
    """One object."""
    if as_json:
        _print_json(answer)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in answer.items():
        if name not in (*_LEFT_OUT, *left_out):
            table.add_row(name, _text(name, value))
    _console().print(table)
    complain([f"warning: {warning['pointer']}: {warning['reason']}" for warning in answer.get("warnings", ())])


def show_all(answers: Iterable[Row], columns: Sequence[str], as_json: bool) -> None:
    """Many of a kind."""
    rows = list(answers)
    if as_json:
        _print_json(rows)
    else:
        _console().print(table_of(rows, columns))


def table_of(rows: Iterable[Row], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_text(name, row.get(name)) for name in columns))
    return table


def print_tables(*tables: Table) -> None:
    console = _console()
    for number, table in enumerate(tables):
        if number:
            console.print()
        console.print(table)


def plain(text: str) -> None:
    typer.echo(text)


def complain(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)


def _console() -> Console:
    """As wide as the terminal, and without one wide enough for what programs cut out of it."""
    console = Console(highlight=False, markup=False)
    return (
        console if console.is_terminal else Console(width=max(MIN_WIDTH, console.width), highlight=False, markup=False)
    )


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def _text(name: str, value: Any) -> str:
    if name in _TIMES and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if value is None:
        return "-"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "-"
    return value if isinstance(value, str) else json.dumps(value)
