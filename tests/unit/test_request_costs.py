"""The table of costs in docs/deploy.md is the calculated one, and what a chat does is counted."""

from __future__ import annotations

import re

from scripts import request_costs
from scripts.request_costs import RATES, counted


def test_the_page_has_what_is_calculated() -> None:
    [found] = request_costs.PLACE.findall(request_costs.PAGE.read_text())
    assert found == request_costs.table()


def test_a_chat_is_held_and_settled_for_its_tenant_and_its_user() -> None:
    alone = counted()
    assert (alone.calls["ledger.reserve"], alone.calls["ledger.settle"], alone.writes) == (2, 2, 4)


def test_what_runs_besides_makes_each_write_larger() -> None:
    """96 of one key: some 16 KB in its user's account, 4 KB in its tenant's, written twice each (docs/admin.md)."""
    assert 30 <= counted(96).writes <= 44


def test_more_at_once_never_costs_less() -> None:
    rows = re.findall(r"^\| .* s.* \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", request_costs.table(), re.MULTILINE)
    assert len(rows) == len(request_costs.ANSWERS_S)
    assert all(len(row) == len(RATES) and sorted(row, key=float) == list(row) for row in rows)
