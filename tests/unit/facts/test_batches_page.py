"""The page of batches against the state machine and the limits that it describes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gateway.batch_ports import LINES_AT_ONCE
from gateway.entry.batch_task import ASKING, ROOM_S
from gateway.model import batch as limits
from gateway.model.job import LONGEST_S
from gateway.pipeline.batch_collect import GONE_S
from gateway.pipeline.batch_endpoints import LINE_ENDPOINTS
from gateway.pipeline.batch_line import CANCELLED, DISABLED, EXPIRED, INTERRUPTED, PATIENCE_S
from gateway.pipeline.batch_look import GRACE_S
from gateway.pipeline.batch_submit import LISTED_S
from gateway.pipeline.batch_work import FLUSH_LINES, FLUSH_S, START_S
from gateway.pipeline.exchange import ANSWER_S
from gateway.pipeline.job_record import WORK_S, JobBusy
from gateway.pipeline.job_work import JobPending
from gateway.providers.wire import json_lines
from scripts.draw_machine import BATCH_MACHINE, BATCH_PAGE, page
from tests.unit.facts.test_jobs_page import EVENTS_A_TRY, MAX_EVENTS, MOMENTARY

EVENTS_A_ROUND = 9
"""Of a part: five of a Task that succeeds, and of a Choice and a Wait that each is entered and left."""
NAMES = ("tenant_id", "job_id", "group", "part", "shipment")
FOUND = ("status", "to_do", "wait_s", "groups", "done", "shipments")
MACHINE: dict[str, Any] = json.loads(BATCH_MACHINE.read_text())
TEXT = BATCH_PAGE.read_text()


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


TASKS = {name: state for name, state in states(MACHINE) if state["Type"] == "Task"}


def test_the_picture_is_of_the_machine() -> None:
    """`python scripts/draw_machine.py` draws it."""
    assert page(TEXT, MACHINE) == TEXT


def test_the_machine_asks_for_steps_that_there_are_and_knows_the_errors_by_name() -> None:
    steps = {task["Parameters"]["Payload"]["step"] for task in TASKS.values()}
    assert steps == {"prepare", "finish", "settle", "tell", "give_up", *ASKING} - {"bring_in"}
    named = {error for task in TASKS.values() for retry in task["Retry"] for error in retry["ErrorEquals"]}
    assert named == {"States.ALL", JobBusy.__name__, JobPending.__name__, *MOMENTARY}
    maps = [name for name, state in states(MACHINE) if state["Type"] == "Map"]
    assert all(f"| {name} |" in TEXT for name in (*TASKS, *maps))


def test_a_step_outlasts_what_passes_and_its_history_has_room_for_it() -> None:
    for name, task in TASKS.items():
        assert sum(retry["MaxAttempts"] for retry in task["Retry"]) * EVENTS_A_TRY < MAX_EVENTS, name
        [busy] = [retry for retry in task["Retry"] if retry["ErrorEquals"] == [JobBusy.__name__]]
        assert busy["MaxAttempts"] * busy["IntervalSeconds"] / 2 > 2 * WORK_S


def test_a_part_may_wait_for_room_as_long_as_its_batch_has_time() -> None:
    rounds = LONGEST_S / (PATIENCE_S + ROOM_S)
    assert rounds * EVENTS_A_ROUND < MAX_EVENTS
    assert PATIENCE_S < START_S < WORK_S


def test_nothing_but_names_goes_through_the_machine() -> None:
    for task in TASKS.values():
        assert set(task["Parameters"]["Payload"]) <= {"step", *(f"{name}.$" for name in NAMES)}
        assert set(task["ResultSelector"]) <= {f"{name}.$" for name in FOUND}


def test_asking_takes_no_place_from_what_ends_a_batch() -> None:
    for name, task in TASKS.items():
        of_workers = task["Parameters"]["FunctionName"] == "${BatchWorkFunction}"
        assert of_workers == (task["Parameters"]["Payload"]["step"] in ASKING), name


def test_a_part_that_fails_for_good_fails_no_other() -> None:
    [parts] = [state for name, state in states(MACHINE) if name == "Every part"]
    assert parts["ToleratedFailurePercentage"] == 100
    assert parts["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert "Twenty parts" in TEXT
    assert parts["MaxConcurrency"] == 20


def test_a_worker_has_ended_before_its_function_is() -> None:
    assert START_S + ANSWER_S + 60 < 900
    assert "nine minutes" in TEXT
    assert START_S == 9 * 60


def test_the_limits_are_those_that_the_page_says() -> None:
    assert (limits.MAX_LINES, limits.MAX_BYTES, limits.MAX_LINE_BYTES) == (50_000, 200 * 2**20, 6 * 2**20)
    assert "50,000 lines and 200 MiB" in TEXT
    assert (limits.MAX_MODELS, limits.PART_LINES, limits.MAX_ERRORS) == (50, 50, 1_000)
    assert (LINES_AT_ONCE, FLUSH_LINES, FLUSH_S) == (8, 8, 5.0)
    assert all(f"`{path}`" in TEXT for path in LINE_ENDPOINTS)
    assert all(f"| `{closing.code}` |" in TEXT for closing in (CANCELLED, EXPIRED, DISABLED, INTERRUPTED))


def test_what_a_provider_forgets_is_waited_for_as_long_as_the_page_says() -> None:
    assert (LISTED_S, GONE_S, GRACE_S) == (5 * 60, 5 * 60, 3_600)
    assert "for five minutes, since lists may be behind" in TEXT
    assert json_lines.MAX_LINE_BYTES == 160 * 2**20
    assert "larger than 160 MiB" in TEXT
