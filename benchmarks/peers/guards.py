"""What keeps a run from being published: nobody could repeat it, or it says less than it seems to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks import machine
from benchmarks.peers import revision
from benchmarks.peers.record import Run
from benchmarks.peers.targets import OURS
from local.console import Problem

FEWEST_ROUNDS = 3


def before() -> list[str]:
    """What is known before anything is measured."""
    return [*_code(revision.commit(), revision.is_changed()), *_load(machine.description())]


def hindrances(run: Run) -> list[str]:
    """Of a run that has been made, from its raw data alone."""
    ours, options = run.subject(OURS), run.options
    found = [*_code(ours.version if ours else "", options.get("changed", False)), *_load(run.machine)]
    if machine.LOAD_AT_END not in run.machine:
        found.append("the load at its end is not known")
    if options["share"] < 1:
        found.append(f"it has {options['share']:.0%} of the requests")
    if options["rounds"] < FEWEST_ROUNDS:
        found.append(f"it has {options['rounds']} rounds, fewer than {FEWEST_ROUNDS}")
    if ours is not None and not ours.parts:
        found.append("its memory is that of one of two functions")
    if not run.stack:
        found.append("it was not measured through the local stack")
    return found


def refuse(found: list[str], what_to_do: str) -> None:
    """Raises Problem when there is anything."""
    if found:
        raise Problem(f"Not published: {'; '.join(found)}. {what_to_do}")


def _code(commit: str, is_changed: bool) -> Iterator[str]:
    if not commit:
        yield "it is of no commit"
    if is_changed:
        yield "the code has changes that are in no commit"


def _load(found: dict[str, Any]) -> Iterator[str]:
    for when, load in machine.loads(found).items():
        if load > found["cores"] / 2:
            yield f"the load was {load} {when}, more than half of the {found['cores']} cores"
