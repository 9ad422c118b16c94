"""`python -m benchmarks`: what the gateway costs, beside a direct call to the same provider simulator, in one run."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    alone,
    batched,
    failing,
    governed,
    killed,
    leaking,
    machine,
    soak,
    speaking,
    storing,
    through_stack,
)
from benchmarks.peers import published
from benchmarks.report import Report, document, text
from local.console import Problem, Progress

RESULTS = Path(__file__).parent / "results"
ROUNDS, QUICK_ROUNDS = 5, 2
QUICK_SHARE = 0.25
PARTS = ("A", "B", "C", "D", "E", "F", "G", "L", "P", "S", "V")
MINUTES, RATE_PER_S = 30.0, 6.0
USUAL_PARTS = ("A", "B", "C", "P")
"""Of a run in which nothing is chosen; the others take many minutes."""


ON_LINUX = {"A", "C", "G", "L", "P", "S"}


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        help="A: the gateway's code alone; B: through the local stack; C: storing; D: racing for budgets; E: killed; "
        "F: a provider fails; G: a batch; L: what failed requests leave behind; P: beside its peers; "
        "S: mixed traffic for long; V: sessions of voice",
    )
    parser.add_argument("--rounds", type=int, help=f"rounds of interleaved slices (default {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="a quarter of the requests in two rounds: a first look")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of part S (default {MINUTES:g})")
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help=f"requests a second of it ({RATE_PER_S:g})")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when an aim is missed")
    parser.add_argument("--publish", action="store_true", help="write what P finds into docs/benchmarks and README")
    parser.add_argument(
        "--publish-anyway",
        action="store_true",
        help="also of a busy machine, of code that is in no commit, or without the local stack; which is said there",
    )
    chosen = parser.parse_args(arguments)
    if (chosen.publish or chosen.publish_anyway) and (chosen.quick or chosen.only != ["P"]):
        parser.error("what is published is a full run of P alone: --only P, without --quick")
    chosen.rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    return chosen


def run(chosen: argparse.Namespace, progress: Progress) -> Report:
    """Raises Problem."""
    report = Report()
    share = QUICK_SHARE if chosen.quick else 1.0
    parts = set(chosen.only or USUAL_PARTS)
    if parts & ON_LINUX and not machine.IS_LINUX:
        progress.say("parts A, C, G, L, P and S read what only Linux tells of processes and are left out here")
        parts -= ON_LINUX
    measures: dict[str, Callable[[], Report]] = {
        "A": lambda: alone.measure(chosen.rounds, share, progress),
        "B": lambda: through_stack.measure(chosen.rounds, share, progress),
        "C": lambda: storing.measure(progress),
        "D": lambda: governed.measure(share, progress),
        "E": lambda: killed.measure(share, progress),
        "F": lambda: failing.measure(share, progress),
        "G": lambda: batched.measure(share, progress),
        "L": lambda: leaking.measure(share, progress),
        "P": lambda: published.part(chosen.rounds, share, RESULTS, _publish(chosen), progress),
        "S": lambda: soak.measure(chosen.minutes, chosen.rate, progress),
        "V": lambda: speaking.measure(share, progress),
    }
    for part, measure in measures.items():
        if part in parts:
            report.add(measure())
    return report


def _publish(chosen: argparse.Namespace) -> published.Publish:
    if chosen.publish_anyway:
        return published.Publish.ANYWAY
    return published.Publish.GUARDED if chosen.publish else published.Publish.NO


def main(arguments: list[str]) -> int:
    """0 when everything could be measured, whether or not the aims were kept; with --strict only when they were."""
    chosen = options(arguments)
    where = machine.description()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the processes started here end with this one
    try:
        report = run(chosen, Progress())
    except Problem as problem:
        print(f"\nProblem: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; nothing was saved.", file=sys.stderr)
        return 130
    shown = f"{text(report)}\n\n{machine.sentence(where)}"
    print(f"\n{shown}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.md").write_text(shown + "\n")
    (RESULTS / "latest.json").write_text(document(report, where, vars(chosen)))
    return int(chosen.strict and not all(verdict.kept for verdict in report.verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
