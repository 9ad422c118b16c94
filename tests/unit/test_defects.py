"""The end-to-end tests' eye for defects, on lines as each of the writers of logs writes them."""

from __future__ import annotations

import json

import pytest

from gateway.adapters.telemetry import log_defect, log_trouble
from gateway.entry.powertools import logger
from gateway.entry.runtime.failure import describe, log
from gateway.model.telemetry import DEFECT
from tests.e2e.defects import KNOWN_TO_MACHINES, defects


def seen(capsys: pytest.CaptureFixture[str]) -> list[str]:
    written = capsys.readouterr()
    return [line["event"] for line in defects((written.out + written.err).splitlines())]


def test_an_unexpected_exception_of_a_request_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    log_defect(ZeroDivisionError("a prompt"), "req_1")
    assert seen(capsys) == [DEFECT]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_one_is_seen_however_its_writer_sets_spaces(separators: tuple[str, str]) -> None:
    line = json.dumps({"level": "ERROR", "event": DEFECT}, separators=separators)
    assert defects(["START", line, '{"level":"ERROR"', ""]) == [{"level": "ERROR", "event": DEFECT}]


def test_a_failure_of_a_function_is_one_unless_its_machine_waits_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    class JobBusy(Exception):
        pass

    assert JobBusy.__name__ in KNOWN_TO_MACHINES
    log("ERROR", "application_failed", error=describe(JobBusy()))
    assert seen(capsys) == []
    log("ERROR", "application_failed", error=describe(KeyError("a prompt")))
    assert seen(capsys) == ["application_failed"]


@pytest.mark.parametrize("event", ["init_failed", "poller_ended", "stray_failure"])
def test_a_process_that_fails_by_itself_is_one(capsys: pytest.CaptureFixture[str], event: str) -> None:
    log("ERROR", event, error=None)
    assert seen(capsys) == [event]


def test_what_failed_and_was_expected_to_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    log_trouble("circuit.opened")
    log_trouble("events.undelivered")
    logger().error("rest.request", extra={"outcome": "gateway_error"})
    assert seen(capsys) == []
