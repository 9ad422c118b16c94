"""What the repository shows of a run: raw data, tables, the page, and README's table, all made from the raw data.

python -m benchmarks.peers.published: makes them anew from docs/benchmarks/peers.json.
python -m benchmarks.peers.published benchmarks/results/peers.json: publishes a run that was made before.
"""

from __future__ import annotations

import argparse
import sys
from enum import StrEnum
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.peers import guards
from benchmarks.peers.comparison import METRICS, Metric, figure, oddities, oddity, ratio, tables
from benchmarks.peers.measure import measure
from benchmarks.peers.page import circumstances, page
from benchmarks.peers.record import Run, Subject
from benchmarks.peers.targets import OURS
from benchmarks.report import Report, number, table_text
from local.console import Problem, Progress
from local.places import REPOSITORY

FOLDER = REPOSITORY / "docs" / "benchmarks"
README = REPOSITORY / "README.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
BASES = (OURS, "litellm")
NOTHING = "-"
WIDE = 1.3
"""The highest round over the lowest from which on README shows both."""


class Publish(StrEnum):
    """Whether a run goes into docs and README: where nothing hinders it, or all the same, which is said there."""

    NO = "no"
    GUARDED = "guarded"
    ANYWAY = "anyway"


def part(rounds: int, share: float, results: Path, published: Publish, progress: Progress) -> Report:
    """Part P: measures, and writes what was found into `results`; into docs and README where it is `published`.

    Raises Problem, before anything is measured where that is known by then.
    """
    if published is Publish.GUARDED:
        guards.refuse(guards.before(), "--publish-anyway does it all the same, and says so.")
    run = measure(rounds, share, progress)
    write(run, results)
    if published is not Publish.NO:
        publish(run, is_forced=published is Publish.ANYWAY)
    return Report(tables(run, BASES))


def publish(run: Run, folder: Path = FOLDER, readme: Path = README, *, is_forced: bool = False) -> None:
    """Raises Problem when something hinders it, and when README has no place for the table."""
    if not is_forced:
        kept = "The run is kept: python -m benchmarks.peers.published benchmarks/results/peers.json --anyway"
        guards.refuse(guards.hindrances(run), kept)
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
    notes = [f"({at}) {odd}" for at, odd in enumerate(oddities(run), 1)]
    return "\n".join([*lines, "", *(f"{note}\n" for note in notes), circumstances(run)])


def report(run: Run) -> str:
    """Everything, as Markdown."""
    who = [_line("", ["version", "governs", "what it does with every request"]), _line("---", ["---"] * 3)]
    who += [_line(each.title, [each.version, each.governs, each.does]) for each in run.subjects]
    served = "; ".join(_served(each) for each in run.subjects)
    left = [f"- {name}: {why}" for name, why in run.left_out.items()]
    parts = [
        "# The gateway beside its peers",
        f"Written by `make bench` from [peers.json](peers.json), as is [peers.html](peers.html), which draws it.\n"
        f"{circumstances(run)} What it means: [README.md](README.md).",
        "\n".join(who),
        f"Memory was read after these requests: {served}.",
        "Not measured:\n\n" + "\n".join(left),
        *(table_text(table) for table in tables(run, BASES)),
    ]
    return "\n\n".join(parts) + "\n"


def _served(subject: Subject) -> str:
    parts = ", ".join(f"{part.name} {part.served:,}: {number(part.memory_mb)} MB" for part in subject.parts)
    return f"{subject.title} {subject.served:,}" + (f" ({parts})" if parts else "")


def _beside(run: Run, metric: Metric, subject: Subject, ours: Subject) -> str:
    times = ratio(run, metric, subject, ours)
    plain = _plain(figure(run, metric, subject), metric.unit)
    if plain != NOTHING and (odd := oddity(metric, subject)):
        plain += f" ({oddities(run).index(odd) + 1})"
    return plain if times is None else f"**{number(times.median)}x**{_if_wide(times)} {plain}"


def _plain(found: Figure | None, unit: str) -> str:
    return NOTHING if found is None else f"{number(found.median)}{_if_wide(found)} {unit}"


def _if_wide(found: Figure) -> str:
    """The range over rounds where they differ so much that the median alone would say too much."""
    if found.lowest > 0 and found.highest / found.lowest <= WIDE:
        return ""
    return f" [{number(found.lowest)}..{number(found.highest)}]" if found.lowest != found.highest else ""


def _line(first: str, cells: list[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


def main(arguments: list[str]) -> int:
    published = FOLDER / "peers.json"
    parser = argparse.ArgumentParser(prog="published", description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", default=published, help="raw data of a run (the published one)")
    parser.add_argument("--anyway", action="store_true", help="whatever hinders it, which is then said beside it")
    chosen = parser.parse_args(arguments)
    try:
        publish(Run.read(chosen.run), is_forced=chosen.anyway or chosen.run == published)
    except Problem as problem:
        print(f"Problem: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
