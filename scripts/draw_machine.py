"""Draws the state machines of jobs and batches into their pages: `python scripts/draw_machine.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
MACHINES, DOCS = REPOSITORY / "statemachines", REPOSITORY / "docs"
MACHINE, PAGE = MACHINES / "job.asl.json", DOCS / "jobs.md"
BATCH_MACHINE, BATCH_PAGE = MACHINES / "batch.asl.json", DOCS / "batches.md"
_PLACE = re.compile(r"(?<=<!-- machine -->\n).*?(?=<!-- /machine -->)", re.DOTALL)

_MEANINGS = {
    "$.job.waiting": "not yet",
    "$.job.callback_s": "not yet, the provider calls back",
    "$.batch.done": "not yet",
}


def drawn(machine: dict[str, Any]) -> str:
    """A diagram that GitHub shows: https://mermaid.js.org/syntax/stateDiagram.html"""
    return "\n".join(["```mermaid", "stateDiagram-v2", "    direction TB", *_lines(machine, "s", "    "), "```", ""])


def _lines(machine: dict[str, Any], prefix: str, indent: str) -> Iterator[str]:
    """What a map does with each of its items is drawn inside it."""
    names = {state: f"{prefix}{number}" for number, state in enumerate(machine["States"])}
    for state, name in names.items():
        inner = machine["States"][state].get("ItemProcessor")
        yield f'{indent}state "{state}" as {name}' + (" {" if inner else "")
        if inner:
            yield from _lines(inner, f"{name}_", f"{indent}    ")
            yield f"{indent}}}"
    yield f"{indent}[*] --> {names[machine['StartAt']]}"
    for state, body in machine["States"].items():
        for to, label in _ways(body):
            yield f"{indent}{names[state]} --> {_name(to, names)}{label}"


def _name(state: str, names: dict[str, str]) -> str:
    return names.get(state, state)


def _ways(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a state leads to, and when."""
    for choice in body.get("Choices", ()):
        wanted = choice.get("StringEquals") or _MEANINGS[choice["Variable"]]
        yield choice["Next"], f": {wanted}"
    if "Default" in body:
        yield body["Default"], ": else"
    if "Next" in body:
        yield body["Next"], ""
    for caught in body.get("Catch", ()):
        yield caught["Next"], ": is not called" if "TimeoutSecondsPath" in body else ": fails for good"
    if body["Type"] in ("Succeed", "Fail") or body.get("End"):
        yield "[*]", ""


def page(text: str, machine: dict[str, Any]) -> str:
    return _PLACE.sub(lambda _: drawn(machine), text)


if __name__ == "__main__":
    for path, machine_of in ((PAGE, MACHINE), (BATCH_PAGE, BATCH_MACHINE)):
        path.write_text(page(path.read_text(), json.loads(machine_of.read_text())))
