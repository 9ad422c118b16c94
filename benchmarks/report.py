"""A run on paper: aligned Markdown tables for people, one JSON document for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.aims import Verdict
from benchmarks.figures import Figure, Table

RATIO = "ratio"


@dataclass(slots=True)
class Report:
    """What a part of the run found."""

    tables: list[Table] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, other: Report) -> None:
        self.tables += other.tables
        self.verdicts += other.verdicts


def text(report: Report) -> str:
    """Every table, then a line for every aim."""
    parts = [*(table_text(table) for table in report.tables), "\n".join(verdict.line for verdict in report.verdicts)]
    return "\n\n".join(part for part in parts if part)


def document(report: Report, machine: dict[str, Any], options: dict[str, Any]) -> str:
    """Everything, as JSON."""
    tables = {
        table.title: {row.name: {"unit": row.unit, **_plain(row.figures)} for row in table.rows}
        for table in report.tables
    }
    verdicts = [
        {
            "aim": verdict.aim.name,
            "limit": verdict.aim.limit,
            "stretch": verdict.aim.stretch,
            "value": round(verdict.value, 4),
            "kept": verdict.kept,
        }
        for verdict in report.verdicts
    ]
    return json.dumps({"machine": machine, "options": options, "tables": tables, "aims": verdicts}, indent=2) + "\n"


def table_text(table: Table) -> str:
    columns = list(dict.fromkeys(column for row in table.rows for column in row.figures))
    lines = [["", "unit", *columns]]
    lines += [
        [row.name, row.unit, *(cell(row.figures.get(column), column) for column in columns)] for row in table.rows
    ]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    aligned = (" | ".join(_aligned(line[at], widths[at], at) for at in range(len(widths))) for line in lines)
    return f"### {table.title}\n\n" + "\n".join(f"| {line} |" for line in aligned) + f"\n\n{table.note}"


def cell(figure: Figure | None, column: str = "") -> str:
    """Median, and the range over rounds where there is one; "-" where nothing was measured."""
    if figure is None:
        return "-"
    suffix = "x" if column == RATIO else ""
    median = f"{number(figure.median)}{suffix}"
    if figure.lowest == figure.highest:
        return median
    return f"{median} [{number(figure.lowest)}..{number(figure.highest)}]"


def number(value: float) -> str:
    """Three significant digits, whole numbers from 100 on."""
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{places}f}"


def _aligned(text: str, width: int, at: int) -> str:
    return text.ljust(width) if at < 2 else text.rjust(width)


def _plain(figures: dict[str, Figure]) -> dict[str, dict[str, float]]:
    return {
        column: {name: round(value, 4) for name, value in asdict(figure).items()} for column, figure in figures.items()
    }
