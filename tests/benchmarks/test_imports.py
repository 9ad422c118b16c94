"""Reading -X importtime."""

from __future__ import annotations

from benchmarks.imports import ModuleCost, after_startup, dearest, dearest_packages, parse

REPORT = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |   encodings.aliases
import time:       900 |       1000 | site
{"event": "a line of the program's own"}
import time:        30 |         30 |     httpx._models
import time:        70 |        100 |   httpx
import time:        50 |        150 | app
"""


def test_modules_are_read_in_their_order_without_foreign_lines() -> None:
    modules = parse(REPORT)
    assert [module.name for module in modules] == ["encodings.aliases", "site", "httpx._models", "httpx", "app"]
    assert modules[3] == ModuleCost("httpx", 70, 100)


def test_the_interpreters_own_start_is_left_out() -> None:
    modules = after_startup(parse(REPORT))
    assert [module.name for module in modules] == ["httpx._models", "httpx", "app"]
    assert after_startup(modules) == modules


def test_costs_are_ranked_by_own_time_and_summed_by_package() -> None:
    modules = after_startup(parse(REPORT))
    assert dearest(modules, 2) == [("httpx", 70), ("app", 50)]
    assert dearest_packages(modules, 2) == [("httpx", 100), ("app", 50)]
