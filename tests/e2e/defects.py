"""What in the functions' logs nobody meant: exceptions that no code expects, and processes that fail by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from gateway.model.telemetry import DEFECT
from local.places import REPOSITORY

_MACHINES = (path.read_text() for path in (REPOSITORY / "statemachines").glob("*.json"))
KNOWN_TO_MACHINES = frozenset(re.findall(r"\w+", "".join(_MACHINES)))
UNEXPECTED = {DEFECT, "after_restore_failed", "before_snapshot_failed", "init_failed", "poller_ended", "stray_failure"}
"""Events that are a defect whatever else they say."""


def defects(messages: Iterable[str]) -> list[dict[str, Any]]:
    """Of the lines of logs, in their order: those that are one. What is no JSON object is none."""
    found = (_line(message) for message in messages)
    return [line for line in found if line.get("level") == "ERROR" and _is_defect(line)]


def _line(message: str) -> dict[str, Any]:
    if not message.startswith("{"):
        return {}
    try:
        line: dict[str, Any] = json.loads(message)
    except ValueError:
        return {}
    return line


def _is_defect(line: dict[str, Any]) -> bool:
    """A failure of an event's function is none where a state machine knows it by its name."""
    if line.get("event") == "application_failed":
        return line["error"]["type"] not in KNOWN_TO_MACHINES
    return line.get("event") in UNEXPECTED
