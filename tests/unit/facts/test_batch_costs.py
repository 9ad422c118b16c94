"""What docs/batches.md says that a batch costs, against what it does."""

from __future__ import annotations

import pytest

from scripts.batch_costs import PAGE, QUICK, row


@pytest.mark.parametrize("name", QUICK)
def test_the_page_has_what_a_batch_does(name: str) -> None:
    """`python scripts/batch_costs.py` writes it."""
    assert row(name) in PAGE.read_text().splitlines()
