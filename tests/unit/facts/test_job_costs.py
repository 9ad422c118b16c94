"""What docs/jobs.md says that a job costs, against what it does."""

from __future__ import annotations

from scripts.job_costs import PAGE, page


def test_the_page_has_what_a_job_does() -> None:
    """`python scripts/job_costs.py` writes it."""
    text = PAGE.read_text()
    assert page(text) == text
