"""The table of costs in docs/deploy.md is the calculated one."""

from __future__ import annotations

from scripts import request_costs


def test_the_page_has_what_is_calculated() -> None:
    [found] = request_costs.PLACE.findall(request_costs.PAGE.read_text())
    assert found == request_costs.table()
