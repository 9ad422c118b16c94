"""What the runs of budgets and books find: nothing where all is right, and what is wrong where it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from benchmarks import killed
from benchmarks.governed import FIT, RATE_PER_MINUTE, Findings, Raced, tenants
from benchmarks.race import Outcome, cost_nano_usd
from gateway.model.limits import Allowance
from gateway.model.tenant import Tenant
from local.console import Progress

COST = cost_nano_usd()


def found(served: int, *, settled: int | None = None, recorded: int | None = None, **codes: int) -> dict[str, float]:
    """Verdicts that are not kept, for a tenant whose budget pays for FIT requests."""
    findings = Findings(60.0, 100)
    outcome = Outcome(Counter({"ok": served, **codes}), served * COST)
    numbers = {"c2026-11": served * COST, "s2026-11": served * COST if settled is None else settled, "c2026-11-29": 5}
    accounts = {"T#a#0": numbers, "U#a#0#alice": numbers}
    usage = {"requests": 100 if recorded is None else recorded, "cost_nano_usd": served * COST}
    findings.take(Raced("a", {}, FIT), outcome, accounts, usage, 100)
    return {verdict.aim.name: verdict.value for verdict in findings.report().verdicts if not verdict.kept}


def test_nothing_is_found_where_all_is_right() -> None:
    assert found(FIT, budget_exceeded=100 - FIT) == {}


@pytest.mark.parametrize(
    ("run", "name", "value"),
    [
        ({"served": FIT + 1}, "nano-USD spent beyond budgets", COST),
        ({"served": FIT - 2}, "requests refused that fit, once all was given back", 2),
        ({"served": FIT, "recorded": 99}, "requests without a usage record", 1),
        ({"served": FIT, "settled": FIT * COST - 1}, "nano-USD between books, usage records and replies", 2 * 4),
        ({"served": FIT, "provider_error": 3}, "requests that failed otherwise", 3),
    ],
)
def test_what_is_wrong_is_found(run: dict[str, Any], name: str, value: float) -> None:
    assert found(**run) == {name: value}


def test_a_rate_may_be_used_in_every_minute_that_the_race_touched() -> None:
    findings = Findings(119.0, 100)
    books, usage = {"T#a#0": {"c2026-11": 0}}, {"requests": 100, "cost_nano_usd": 0}
    served = 3 * RATE_PER_MINUTE + 1
    findings.take(Raced("a", {}, None), Outcome(Counter({"ok": served}), 0), books, usage, 100)
    verdicts = {verdict.aim.name: verdict.value for verdict in findings.report().verdicts}
    assert verdicts["requests served beyond a rate"] == 1


def test_each_tenant_s_settings_are_settings() -> None:
    for one in tenants():
        made = msgspec.convert({"id": one.name, **one.settings}, Tenant)
        assert made.allowance != Allowance() or made.user_allowance != Allowance()


def test_functions_that_are_killed_leave_nothing_behind() -> None:
    report = killed.measure(0.02, Progress())
    assert [verdict.aim.name for verdict in report.verdicts if not verdict.kept] == []
    figures = {row.name: row.figures["measured"].median for row in report.tables[0].rows}
    assert figures["requests"] == 200
    assert figures["functions killed"] > 3
    assert figures["holds before the sweep"] > 0
