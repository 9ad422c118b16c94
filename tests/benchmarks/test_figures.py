"""Numbers, aims and tables of the benchmarks."""

from __future__ import annotations

import json

from benchmarks.aims import CHAT_CPU, FIRST_ANSWER_CPU, ONE_CORE, OVERHEAD_P99, added_latency
from benchmarks.figures import Figure, Row, Table, quantile
from benchmarks.report import Report, cell, document, number, text

TABLE = Table("Latency", "What it means.", [Row.compared("chat, p50", "ms", [1.0, 2.0, 9.0], [3.0, 6.0, 10.0])])


def test_a_quantile_lies_between_its_neighbours_and_never_beyond_the_extremes() -> None:
    values = [float(value) for value in range(1, 102)]
    assert [quantile(values, percent) for percent in (1, 50, 99)] == [2.0, 51.0, 100.0]
    assert quantile([1.0, 5.0], 99) <= 5.0
    assert quantile([7.0], 99) == 7.0


def test_added_and_ratio_are_taken_within_each_round() -> None:
    figures = TABLE.rows[0].figures
    assert figures["added"] == Figure(2.0, 1.0, 4.0)
    assert figures["ratio"] == Figure(3.0, 10 / 9, 3.0)
    assert figures["gateway"].median - figures["direct"].median != figures["added"].median


def test_an_aim_says_whether_it_was_kept() -> None:
    assert OVERHEAD_P99.judged(49.994).line == "overhead_ms p99 = 49.99 (< 50): PASS"
    assert OVERHEAD_P99.judged(50.0).line == "overhead_ms p99 = 50.00 (< 50): FAIL"
    assert FIRST_ANSWER_CPU.judged(250.0).kept
    assert added_latency("chat 1 KB")[99].judged(5.5).line == "added p99, chat 1 KB = 5.50 ms (<= 5, stretch 2): FAIL"
    assert CHAT_CPU.judged(1.5).line.endswith(" = 1.50 ms (<= 2, stretch 1): PASS")
    assert [ONE_CORE.judged(value).kept for value in (599.0, 600.0, 601.0)] == [False, True, True]


def test_a_table_reads_as_markdown_with_equal_widths() -> None:
    lines = text(Report([TABLE])).splitlines()
    assert lines[0] == "### Latency"
    assert lines[2].split("|")[3:-1] == [f"{name:>{len(part)}} " for name, part in _columns(lines[2])]
    assert len({len(line) for line in lines[2:5]}) == 1
    assert "2.00 [1.00..4.00]" in lines[4]
    assert "3.00x [1.11..3.00]" in lines[4]


def _columns(line: str) -> list[tuple[str, str]]:
    return [(part.strip(), part[:-1]) for part in line.split("|")[3:-1]]


def test_a_figure_without_a_range_shows_none() -> None:
    assert cell(Figure(1234.5, 1234.5, 1234.5)) == "1,234"
    assert [number(value) for value in (0.456, 12.34, 123.4, -0.5)] == ["0.46", "12.3", "123", "-0.50"]


def test_the_document_has_every_figure_and_every_aim() -> None:
    report = Report([TABLE], [OVERHEAD_P99.judged(12.0)])
    found = json.loads(document(report, {"cores": 2}, {"quick": True}))
    assert found["tables"]["Latency"]["chat, p50"]["added"] == {"median": 2.0, "lowest": 1.0, "highest": 4.0}
    assert found["aims"] == [{"aim": "overhead_ms p99", "limit": 50.0, "stretch": None, "value": 12.0, "kept": True}]
    assert (found["machine"], found["options"]) == ({"cores": 2}, {"quick": True})
