"""What the repository shows of a run: raw data, tables, the page, and README's table, all made from the raw data.

python -m benchmarks.peers.published: makes them anew from docs/benchmarks/peers.json.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import machine
from benchmarks.figures import Figure
from benchmarks.peers.comparison import METRICS, Metric, figure, ratio, tables
from benchmarks.peers.measure import measure
from benchmarks.peers.page import page, taken
from benchmarks.peers.record import Run, Subject
from benchmarks.peers.targets import OURS
from benchmarks.report import Report, number, table_text
from local.console import Problem, Progress
from local.places import REPOSITORY

FOLDER = REPOSITORY / "docs" / "benchmarks"
README = REPOSITORY / "README.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
BASES = (OURS, "litellm")


def part(rounds: int, share: float, results: Path, published: bool, progress: Progress) -> Report:
    """Part P: measures, and writes what was found into `results`; into docs and README where it is `published`.

    Raises Problem.
    """
    run = measure(rounds, share, progress)
    write(run, results)
    if published:
        publish(run)
    return Report(tables(run, BASES))


def publish(run: Run, folder: Path = FOLDER, readme: Path = README) -> None:
    """Raises Problem when README has no place for the table."""
    new = with_table(readme.read_text(), brief(run))
    write(run, folder)
    readme.write_text(new)


def write(run: Run, folder: Path) -> None:
    """Raw data, tables and the page, as peers.json, peers.md and peers.html."""
    folder.mkdir(parents=True, exist_ok=True)
    run.write(folder / "peers.json")
    (folder / "peers.md").write_text(report(run))
    (folder / "peers.html").write_text(page(run))


def with_table(text: str, table: str) -> str:
    """`text` with `table` between its two marks. Raises Problem."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Problem(f"README has no line {BEGIN} and {END} after it.")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def brief(run: Run) -> str:
    """README's table: how many times this gateway's each peer's figure is, and the figure."""
    ours = run.subject(OURS)
    if ours is None:
        raise Problem("The run does not have this gateway.")
    others = [subject for subject in run.subjects if subject is not ours]
    lines = [
        _line("", [f"{subject.title} {subject.version}".strip() for subject in (ours, *others)]),
        _line("---", ["---:"] * (1 + len(others))),
        _line("governs", [subject.governs for subject in (ours, *others)]),
    ]
    for metric in METRICS:
        if metric.brief:
            cells = [_plain(figure(run, metric, ours), metric.unit)]
            cells += [_beside(run, metric, subject, ours) for subject in others]
            lines.append(_line(metric.name, cells))
    return "\n".join([*lines, "", f"{taken(run)} {machine.sentence(run.machine)}"])


def report(run: Run) -> str:
    """Everything, as Markdown."""
    who = [_line("", ["version", "governs", "what it does with every request"]), _line("---", ["---"] * 3)]
    who += [_line(each.title, [each.version, each.governs, each.does]) for each in run.subjects]
    served = ", ".join(f"{each.title} {each.served:,}" for each in run.subjects)
    left = [f"- {name}: {why}" for name, why in run.left_out.items()]
    parts = [
        "# The gateway beside its peers",
        f"Written by `make bench` from [peers.json](peers.json), as is [peers.html](peers.html), which draws it.\n"
        f"{taken(run)} {machine.sentence(run.machine)} What it means: [README.md](README.md).",
        "\n".join(who),
        f"Memory was read after these requests: {served}.",
        "Not measured:\n\n" + "\n".join(left),
        *(table_text(table) for table in tables(run, BASES)),
    ]
    return "\n\n".join(parts) + "\n"


def _beside(run: Run, metric: Metric, subject: Subject, ours: Subject) -> str:
    times = ratio(run, metric, subject, ours)
    plain = _plain(figure(run, metric, subject), metric.unit)
    return plain if times is None else f"**{number(times.median)}x** {plain}"


def _plain(found: Figure | None, unit: str) -> str:
    return "-" if found is None else f"{number(found.median)} {unit}"


def _line(first: str, cells: list[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


def main() -> int:
    publish(Run.read(FOLDER / "peers.json"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
