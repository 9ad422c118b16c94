"""What docs/realtime.md says that a minute of voice costs, against what is done in it."""

from __future__ import annotations

from scripts.realtime_costs import PAGE, page


def test_the_page_has_what_a_minute_takes() -> None:
    """`python -m scripts.realtime_costs` writes it."""
    text = PAGE.read_text()
    assert page(text) == text
