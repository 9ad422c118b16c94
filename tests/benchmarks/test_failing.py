"""What the run of a failing provider finds."""

from __future__ import annotations

import pytest

from benchmarks.failing import LIMIT_MS, REFUSING, SILENT, WELL, WELL_AGAIN, report_of
from benchmarks.through_stack import STREAMED, WHOLE, Answer


def answers(milliseconds: float, slow: int = 50) -> list[Answer]:
    """So many of 50 take that long, the others 100 ms."""
    each = slow * [milliseconds] + (50 - slow) * [100.0]
    return [Answer(scenario, took_ms, took_ms, 1.0) for scenario in (WHOLE, STREAMED) for took_ms in each]


@pytest.mark.parametrize(
    ("refusing", "silent", "failed", "missed"),
    [
        (300, LIMIT_MS + 300, 0, []),
        (400, LIMIT_MS + 300, 0, ["added p99 while it refuses"]),
        (300, LIMIT_MS + 400, 0, ["added p99 while it is silent, beyond its time limit"]),
        (300, LIMIT_MS, 1, ["requests not answered while a provider failed"]),
    ],
)
def test_what_is_too_much_is_said(refusing: float, silent: float, failed: int, missed: list[str]) -> None:
    phases = {WELL: 100, REFUSING: refusing, SILENT: silent, WELL_AGAIN: 100}
    report = report_of({phase.name: answers(value, slow=5) for phase, value in phases.items()}, failed)
    assert [verdict.aim.name for verdict in report.verdicts if not verdict.kept] == missed


def test_that_most_requests_wait_for_a_silent_provider_is_said() -> None:
    phases = {WELL: 100, REFUSING: 100, SILENT: LIMIT_MS, WELL_AGAIN: 100}
    report = report_of({phase.name: answers(value, slow=26) for phase, value in phases.items()}, 0)
    assert [verdict.aim.name for verdict in report.verdicts if not verdict.kept] == ["added p50 while it is silent"]
