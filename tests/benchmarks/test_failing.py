"""What the run of a failing provider finds."""

from __future__ import annotations

import pytest

from benchmarks.failing import LIMIT_MS, REFUSING, SILENT, WELL, WELL_AGAIN, report_of
from benchmarks.through_stack import STREAMED, WHOLE, Answer


def answers(milliseconds: float) -> list[Answer]:
    return [Answer(scenario, milliseconds, milliseconds, 1.0) for scenario in (WHOLE, STREAMED) for _ in range(50)]


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
    report = report_of({phase.name: answers(value) for phase, value in phases.items()}, failed)
    assert [verdict.aim.name for verdict in report.verdicts if not verdict.kept] == missed
