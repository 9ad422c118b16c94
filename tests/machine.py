"""The state machine of jobs, walked as Step Functions does: tries again, catches, chooses, by a clock that is moved."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import ManualClock

Json = dict[str, Any]
_FOLDER = Path(__file__).parents[1] / "statemachines"
DEFINITION: Json = json.loads((_FOLDER / "job.asl.json").read_text())
BATCH: Json = json.loads((_FOLDER / "batch.asl.json").read_text())
TASKS = [name for name, state in DEFINITION["States"].items() if state["Type"] == "Task"]
MOST_STEPS = 2_000
DIED = "Runtime.ExitError"
"""What Lambda calls it when a function's process ends."""


class TaskFailed(Exception):
    """What Step Functions hears of a function that raised, or whose process died: the name of an error."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


Invoke = Callable[[str, Json], Awaitable[Json]]
"""One call of a Task's function, by the name of its state. Raises TaskFailed."""
Called = Callable[[str], Awaitable[bool]]
"""Whether somebody redeems a task token in time."""


async def never(_token: str) -> bool:
    return False


@dataclass
class Walk:
    """One execution. `impatient`: states in which nothing follows a worker that died, as when all tries are used up.

    `entered`: the Tasks in their order, one for each try. `transitions`: as AWS bills them. `jitter`: how much of each
    pause is waited for; on the average it is half.
    """

    clock: ManualClock
    invoke: Invoke
    impatient: frozenset[str] = frozenset()
    called: Called = never
    entered: list[str] = field(default_factory=list)
    transitions: int = 0
    jitter: float = 1.0
    definition: Json = field(default_factory=lambda: DEFINITION)

    async def run(self, told: Json, machine: Json | None = None) -> str:
        """The name of the state it ends in. Raises TaskFailed when nothing catches."""
        machine = machine or self.definition
        name = machine["StartAt"]
        for _ in range(MOST_STEPS):
            state = machine["States"][name]
            self.transitions += state["Type"] != "Task"  # of which every try is one
            match state["Type"]:
                case "Succeed" | "Fail":
                    return str(name)
                case "Choice":
                    name = _chosen(state, told)
                case "Wait":
                    self.clock.unix_s += _at(told, state["SecondsPath"])
                    name = state["Next"]
                case "Pass":
                    if "ResultPath" in state:
                        _put(told, state["ResultPath"], state["Result"])
                    if state.get("End"):
                        return str(name)
                    name = state["Next"]
                case "Map":
                    await self._mapped(state, told)
                    name = state["Next"]
                case "Task":
                    name = await self._tried(name, state, told)
                case other:
                    raise NotImplementedError(other)
        raise AssertionError(f"it does not end: {self.entered[-10:]}")

    async def _mapped(self, state: Json, told: Json) -> None:
        """One item after the other. What fails in one fails in it alone."""
        for item in _at(told, state["ItemsPath"]):
            context = {"Map": {"Item": {"Value": item}}}
            given = {
                key.removesuffix(".$"): _at(context, value[1:]) if value.startswith("$$.") else _at(told, value)
                for key, value in state["ItemSelector"].items()
            }
            await self.run(given, state["ItemProcessor"])

    async def _tried(self, name: str, state: Json, told: Json) -> str:
        """Where it goes from a Task, whose result is in `told` then."""
        tries = [0] * len(state["Retry"])
        while True:
            self.entered.append(name)
            self.transitions += 1
            try:
                result = {"Payload": await self._done(name, state, told)}
            except TaskFailed as failed:
                number = _matching(state["Retry"], failed.name)
                is_over = failed.name == DIED and name in self.impatient
                if not is_over and number is not None and self._waits(state["Retry"][number], tries, number):
                    continue
                caught = _matching(state.get("Catch", []), failed.name)
                if caught is None:
                    raise
                return str(state["Catch"][caught]["Next"])
            if state["ResultPath"] is not None:
                selected = {key.removesuffix(".$"): _at(result, path) for key, path in state["ResultSelector"].items()}
                _put(told, state["ResultPath"], selected)
            return str(state["Next"])

    async def _done(self, name: str, state: Json, told: Json) -> Json:
        """What the function gives, once its token is redeemed where it has one. Raises TaskFailed."""
        context = {"Task": {"Token": f"token-{len(self.entered)}"}}
        payload = {
            key.removesuffix(".$"): _at(context, value[1:]) if str(value).startswith("$$.") else _at(told, value)
            for key, value in state["Parameters"]["Payload"].items()
        }
        result = await self.invoke(name, payload)
        if state["Resource"].endswith(".waitForTaskToken") and not await self.called(context["Task"]["Token"]):
            self.clock.unix_s += _at(told, state["TimeoutSecondsPath"])
            raise TaskFailed("States.Timeout")
        return result

    def _waits(self, retrier: Json, tries: list[int], number: int) -> bool:
        if tries[number] >= retrier["MaxAttempts"]:
            return False
        pause_s = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** min(tries[number], 99)
        tries[number] += 1
        self.clock.unix_s += self.jitter * min(pause_s, retrier.get("MaxDelaySeconds", pause_s))
        return True


def _matching(handlers: list[Json], error: str) -> int | None:
    for number, handler in enumerate(handlers):
        if error in handler["ErrorEquals"] or "States.ALL" in handler["ErrorEquals"]:
            return number
    return None


def _chosen(state: Json, told: Json) -> str:
    for choice in state["Choices"]:
        value = _at(told, choice["Variable"])
        if "NumericGreaterThan" in choice:
            is_it = value > choice["NumericGreaterThan"]
        else:
            is_it = value == choice.get("StringEquals", choice.get("BooleanEquals"))
        if is_it:
            return str(choice["Next"])
    return str(state["Default"])


def _at(told: Any, path: Any) -> Any:
    """A path as in "$.job.status"; anything else is itself."""
    if not (isinstance(path, str) and path.startswith("$.")):
        return path
    for name in path[2:].split("."):
        told = told[name]
    return told


def _put(told: Json, path: str, value: Any) -> None:
    *above, name = path[2:].split(".")
    for part in above:
        told = told[part]
    told[name] = value
