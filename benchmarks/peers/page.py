"""A run as one page of HTML that needs nothing else: a chart for each figure, drawn as SVG, and all numbers as text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from benchmarks import machine
from benchmarks.figures import Figure
from benchmarks.peers import guards
from benchmarks.peers.comparison import METRICS, Metric, figure, tables
from benchmarks.peers.record import Run, Subject
from benchmarks.peers.targets import OURS
from benchmarks.report import cell, number

WIDTH, ROW, TOP = 720, 26, 24
_LEFT, _RIGHT = 150, 190
"""Of the axis, in pixels: names are on its left, numbers on its right."""

_STYLE = Path(__file__).with_suffix(".css")


def page(run: Run) -> str:
    """The whole document."""
    charts = "\n".join(chart(run, metric) for metric in METRICS)
    numbers = "\n".join(_numbers(run))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The gateway beside its peers</title>
<style>
{_STYLE.read_text()}</style>
</head>
<body>
<h1>The gateway beside its peers</h1>
<p>{escape(circumstances(run))}</p>
<p>In every chart less is better, and the axis is logarithmic. A dot is the median over rounds, the line reaches from
the lowest to the highest round. "Added" is a quantile minus that of the direct call in the same round.
What was measured, and what was not, is in README.md beside this page.</p>
{_who(run)}
{charts}
{numbers}
</body>
</html>
"""


def circumstances(run: Run) -> str:
    """When, how long, where, and what would have kept the run from being published."""
    hindered = guards.hindrances(run)
    words = [f"Published all the same: {'; '.join(hindered)}."] if hindered else []
    return " ".join([_taken(run), machine.sentence(run.machine), *words])


def _taken(run: Run) -> str:
    rounds, share = run.options["rounds"], run.options["share"]
    part = "" if share >= 1 else f", with {share:.0%} of the requests"
    return f"Taken at {run.machine['taken_at']}: {rounds} rounds{part}, {run.took_s / 60:.0f} minutes in all."


def chart(run: Run, metric: Metric) -> str:
    """A row for everybody who was measured; empty when nobody was."""
    found = [(subject, figure(run, metric, subject)) for subject in run.subjects]
    rows = [(subject, each) for subject, each in found if each is not None]
    if not rows:
        return ""
    axis = Axis.over([each for _, each in rows])
    height = TOP + ROW * len(rows) + 6
    drawn = "\n".join(_row(axis, at, subject, each, metric.unit) for at, (subject, each) in enumerate(rows))
    grid = "\n".join(_tick(axis, value, height) for value in axis.ticks())
    label = escape(f"{metric.name}, {metric.unit}")
    return (
        f'<h2>{label}</h2>\n<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">\n'
        f"{grid}\n{drawn}\n</svg>"
    )


class Axis:
    """Logarithmic, from one power of ten to another; what is not above zero lies at its left end."""

    def __init__(self, lowest: float, highest: float) -> None:
        self.low = math.floor(math.log10(lowest))
        self.high = max(self.low + 1, math.ceil(math.log10(highest)))

    @classmethod
    def over(cls, figures: Sequence[Figure]) -> Axis:
        values = [value for each in figures for value in (each.lowest, each.highest) if value > 0] or [1.0]
        return cls(min(values), max(values))

    def x(self, value: float) -> float:
        at = self.low if value <= 0 else max(self.low, math.log10(value))
        return _LEFT + (at - self.low) / (self.high - self.low) * (WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def _tick(axis: Axis, value: float, height: int) -> str:
    x = axis.x(value)
    return (
        f'<line class="grid" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height}"/>'
        f'<text class="soft" x="{x:.1f}" y="12" text-anchor="middle">{value:,.10g}</text>'
    )


def _row(axis: Axis, at: int, subject: Subject, found: Figure, unit: str) -> str:
    y = TOP + ROW * at + ROW // 2
    kind = "ours" if subject.name == OURS else "theirs"
    name = "ours" if kind == "ours" else "name"
    return (
        f'<text class="{name}" x="0" y="{y + 4}">{escape(subject.title)}</text>'
        f'<line class="{kind}" x1="{axis.x(found.lowest):.1f}" y1="{y}" x2="{axis.x(found.highest):.1f}" y2="{y}"'
        f' stroke-width="3"/><circle class="{kind}" cx="{axis.x(found.median):.1f}" cy="{y}" r="5"/>'
        f'<text x="{WIDTH - _RIGHT + 12}" y="{y + 4}">{number(found.median)} {unit}'
        f"{_range(found)}</text>"
    )


def _range(found: Figure) -> str:
    if found.lowest == found.highest:
        return ""
    return f" [{number(found.lowest)}..{number(found.highest)}]"


def _who(run: Run) -> str:
    rows = [
        f"<tr><td>{escape(each.title)}</td><td>{escape(each.version)}</td><td>{escape(each.governs)}</td>"
        f'<td class="wide">{escape(each.does)}</td></tr>'
        for each in run.subjects
    ]
    left = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in run.left_out.items())
    return (
        '<h2>Who was measured</h2>\n<div class="scroll"><table><tr><th></th><th>version</th><th>governs</th>'
        f"<th>what it does with every request</th></tr>\n{''.join(rows)}\n</table></div>\n"
        f"<p>Not measured:</p>\n<ul>{left}</ul>"
    )


def _numbers(run: Run) -> Iterator[str]:
    for table in tables(run, [OURS, "litellm"]):
        columns = list(dict.fromkeys(column for row in table.rows for column in row.figures))
        head = "".join(f"<th>{escape(column)}</th>" for column in ("", "unit", *columns))
        rows = []
        for row in table.rows:
            cells = [row.name, row.unit, *(cell(row.figures.get(column), column) for column in columns)]
            rows.append("<tr>" + "".join(f"<td>{escape(each)}</td>" for each in cells) + "</tr>")
        yield (
            f'<h2>{escape(table.title)}</h2>\n<p class="soft">{escape(table.note)}</p>\n<div class="scroll"><table>'
            f"<tr>{head}</tr>\n{chr(10).join(rows)}\n</table></div>"
        )
