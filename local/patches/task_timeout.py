"""A task that waits for its token may take its time-out from the state's input.

MiniStack: reads TimeoutSeconds only; with TimeoutSecondsPath such a task waits a day.
AWS: https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local import emulator


def apply() -> None:
    emulator.replace(emulator.module("services.stepfunctions"), "_execute_task", _with_timeout)


def _with_timeout(stock: Callable[..., Any]) -> Callable[..., Any]:
    def execute(state: dict[str, Any], raw_input: Any, *rest: Any) -> Any:
        path = state.get("TimeoutSecondsPath")
        return stock({**state, "TimeoutSeconds": _at(path, raw_input)} if path else state, raw_input, *rest)

    return execute


def _at(path: str, raw_input: Any) -> Any:
    """What a reference path of plain names leads to: "$.a.b"."""
    found = raw_input
    for name in path.split(".")[1:]:
        found = found[name]
    return found
