"""From what is typed to what the administration takes."""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_DURATION = re.compile(r"(?P<number>\d+)(?P<unit>[smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
NEVER = "never"


class BadSetting(Exception):
    """It cannot be read; the message says how it is written."""


def settings(file: Path | None, assignments: list[str], **named: Any) -> dict[str, Any]:
    """Of a JSON file ("-" is standard input), over it PATH=VALUE assignments, over those what has an option of its own.

    Raises BadSetting.
    """
    found = _of_file(file) if file is not None else {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not all(path.split(".")):
            raise BadSetting(f"--set takes PATH=VALUE, as in allowance.alerts='[80]', not '{assignment}'.")
        _assign(found, path.split("."), _value(text))
    return found | {name: value for name, value in named.items() if value not in (None, [])}


def seconds(text: str) -> int:
    """30m, 1h, 90d. Raises BadSetting."""
    if (found := _DURATION.fullmatch(text)) is None:
        raise BadSetting(f"'{text}' is not a duration such as 30m, 1h or 90d.")
    return int(found["number"]) * _SECONDS[found["unit"]]


def instant(text: str) -> int | None:
    """Unix seconds of a duration from now, a day or a time; None for "never". Raises BadSetting."""
    if text == NEVER:
        return None
    if _DURATION.fullmatch(text):
        return int(time.time()) + seconds(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadSetting(f"'{text}' is neither never, nor a duration (90d), nor a day (2027-01-31).") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _of_file(file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise BadSetting(f"{file} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise BadSetting(f"{file} is no JSON object.")
    return found


def _value(text: str) -> Any:
    """JSON where it is JSON, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _assign(found: dict[str, Any], path: list[str], value: Any) -> None:
    *above, last = path
    for name in above:
        found = found.setdefault(name, {})
        if not isinstance(found, dict):
            raise BadSetting(f"--set {'.'.join(path)}: '{name}' is no object.")
    found[last] = value
