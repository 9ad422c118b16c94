"""docs/reliability.md shows the matrix of failures that tests/e2e/test_fault_matrix.py tries."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.fault_matrix import CELLS, FAULTS, table

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
ALL = {
    *("connection refused", "TLS fails", "no such host", "408", "429", "429 with `Retry-After`", "500", "503", "529"),
    *("401", "slow first byte", "stall mid-stream", "cut mid-event", "garbage", "wrong content type", "endless stream"),
}


def test_the_page_has_the_table() -> None:
    assert table() in PAGE.read_text()


def test_every_failure_is_tried_whole_and_streamed_with_another_model_and_without() -> None:
    assert {fault.name for fault in FAULTS} >= ALL
    tried = {(cell.fault.name, cell.stream, bool(cell.spare)) for cell in CELLS if cell.wire == "chat_completions"}
    for fault in FAULTS:
        for stream in (False, True) if fault.whole else (True,):
            assert {(fault.name, stream, False), (fault.name, stream, True)} <= tried


def test_no_model_is_asked_by_two_cells() -> None:
    models = [cell.model for cell in CELLS]
    assert len(models) == len(set(models))
