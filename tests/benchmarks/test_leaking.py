"""Three hundred requests whose providers fail leave nothing behind; `make bench ARGS="--only L"` sends ten thousand."""

from __future__ import annotations

import pytest

from benchmarks import aims
from benchmarks.leaking import leaks
from benchmarks.machine import IS_LINUX

TIMED = {aims.BEYOND_DEADLINE.name, aims.LEFT_MEMORY.name, aims.LEFT_OBJECTS.name}
"""Which so few requests, on a machine with other work, do not show: tests/unit/test_deadlines.py has exact times."""


@pytest.mark.skipif(not IS_LINUX, reason="reads what Linux tells of processes")
async def test_requests_that_fail_leave_nothing() -> None:
    report = await leaks(requests=300, warm_up=60)
    assert [one.line for one in report.verdicts if not one.kept and one.aim.name not in TIMED] == []
