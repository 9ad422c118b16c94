"""Draws the state machine of jobs into docs/jobs.md, from its definition: `python scripts/draw_machine.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
MACHINE, PAGE = REPOSITORY / "statemachines" / "job.asl.json", REPOSITORY / "docs" / "jobs.md"
_PLACE = re.compile(r"(?<=<!-- machine -->\n).*?(?=<!-- /machine -->)", re.DOTALL)

_MEANINGS = {"$.job.waiting": "not yet", "$.job.callback_s": "not yet, the provider calls back"}


def drawn(machine: dict[str, Any]) -> str:
    """A diagram that GitHub shows: https://mermaid.js.org/syntax/stateDiagram.html"""
    names = {state: f"s{number}" for number, state in enumerate(machine["States"])}
    lines = ["```mermaid", "stateDiagram-v2", "    direction TB"]
    lines += [f'    state "{state}" as {name}' for state, name in names.items()]
    lines.append(f"    [*] --> {names[machine['StartAt']]}")
    for state, body in machine["States"].items():
        lines += [f"    {names[state]} --> {_name(to, names)}{label}" for to, label in _ways(body)]
    return "\n".join([*lines, "```", ""])


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
    if body["Type"] in ("Succeed", "Fail"):
        yield "[*]", ""


def page(text: str, machine: dict[str, Any]) -> str:
    return _PLACE.sub(lambda _: drawn(machine), text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), json.loads(MACHINE.read_text())))
