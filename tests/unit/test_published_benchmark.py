"""What the repository says of its speed is what was measured: README's table, the tables and the page."""

from __future__ import annotations

from benchmarks.peers.page import page
from benchmarks.peers.published import BEGIN, END, FOLDER, README, brief, report
from benchmarks.peers.record import Run

RUN = Run.read(FOLDER / "peers.json")


def test_the_table_of_readme_is_made_of_the_raw_data() -> None:
    between = README.read_text().partition(f"{BEGIN}\n")[2].partition(f"\n{END}")[0]
    assert between == brief(RUN)


def test_tables_and_page_are_made_of_the_raw_data() -> None:
    assert (FOLDER / "peers.md").read_text() == report(RUN)
    assert (FOLDER / "peers.html").read_text() == page(RUN)
