"""What a run beside the peers says, and the page that shows it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from benchmarks import scenarios
from benchmarks.figures import Figure, Table
from benchmarks.peers.comparison import METRICS, Metric, figure, ratio, tables
from benchmarks.peers.page import Axis, chart, page
from benchmarks.peers.published import BEGIN, END, brief, publish, report, with_table
from benchmarks.peers.record import Quantiles, Run, StartRecord, Subject
from benchmarks.peers.targets import OURS
from benchmarks.report import table_text
from local.console import Problem
from tests.benchmarks.peers_run import run, slice_record

ADDED, CPU = "added p50, chat of 1 KB", "CPU for 1,000 chats of 1 KB"


def metric(name: str) -> Metric:
    return next(each for each in METRICS if each.name == name)


def subject(name: str) -> Subject:
    found = run().subject(name)
    assert found is not None
    return found


def table(title: str) -> Table:
    return next(each for each in tables(run(), (OURS, "litellm")) if title in each.title)


def test_what_is_added_is_what_the_direct_call_of_the_same_round_does_not_have() -> None:
    assert figure(run(), metric(ADDED), subject(OURS)) == Figure(3.0, 2.0, 4.0)
    assert figure(run(), metric(ADDED), subject("litellm")) == Figure(24.0, 20.0, 28.0)


def test_a_ratio_is_taken_round_by_round() -> None:
    assert ratio(run(), metric(ADDED), subject("litellm"), subject(OURS)) == Figure(8.5, 7.0, 10.0)
    assert ratio(run(), metric(ADDED), subject(OURS), subject("litellm")) == Figure((0.1 + 4 / 28) / 2, 0.1, 4 / 28)


def test_cpu_has_nothing_subtracted() -> None:
    assert figure(run(), metric(CPU), subject(OURS)) == Figure(3.0, 2.0, 4.0)


def test_a_high_quantile_of_few_answers_is_not_told() -> None:
    few = run()
    few.rounds[scenarios.CHAT_1KB.name]["portkey"] = (slice_record(5.0, 4.0), slice_record(5.0, 4.0, requests=19))
    portkey, p99 = subject("portkey"), metric("added p99, chat of 1 KB")
    assert figure(run(), p99, portkey) == Figure(4.0, 4.0, 4.0)
    assert figure(few, p99, portkey) is None
    assert ratio(few, p99, portkey, subject(OURS)) is None
    assert figure(few, metric(ADDED), portkey) == Figure(4.0, 4.0, 4.0)
    assert figure(few, p99, subject("litellm")) is not None
    (answers,) = [each for each in tables(few, (OURS,)) if each.title.endswith("answers in a slice")]
    assert answers.rows[0].figures["Portkey"] == Figure(19.5, 19, 20)
    assert answers.rows[0].figures["direct call"] == Figure(20, 20, 20)


def test_what_was_not_measured_has_neither_figure_nor_ratio() -> None:
    for name in ("memory after the load", "installed", "cold start to the first answer, CPU"):
        assert figure(run(), metric(name), subject("portkey")) is None
        assert ratio(run(), metric(name), subject("portkey"), subject(OURS)) is None


def test_nothing_is_divided_by_what_is_not_above_zero() -> None:
    same = metric(ADDED)
    nothing = Metric(same.name, same.unit, lambda _, who: [0.0, 1.0] if who.name == OURS else [2.0, 2.0])
    assert ratio(run(), nothing, subject("litellm"), subject(OURS)) is None


def test_ratios_come_first_and_every_metric_is_in_every_table() -> None:
    titles = [each.title for each in tables(run(), (OURS, "litellm"))]
    assert [title.partition(": ")[2] for title in titles[:4]] == [
        "times this gateway",
        "times LiteLLM",
        "measured",
        "answers in a slice",
    ]
    for title in titles[:3]:
        assert [row.name for row in table(title).rows] == [each.name for each in METRICS]
    assert {each.unit for each in table("times LiteLLM").rows} == {"times"}


def test_the_local_stack_has_its_own_direct_call() -> None:
    row = table("whole local stack").rows[0]
    assert row.figures["added"] == Figure(24.0, 20.0, 28.0)


def test_quantiles_of_a_slice() -> None:
    assert Quantiles.of([float(value) for value in range(1, 102)]) == Quantiles(51.0, 96.0, 100.0)


def test_raw_data_are_read_as_they_were_written(tmp_path: Path) -> None:
    run().write(tmp_path / "peers.json")
    assert Run.read(tmp_path / "peers.json") == run()


def test_the_brief_table_has_ratios_before_figures_and_says_who_governs() -> None:
    found = brief(run())
    lines = found.splitlines()
    assert lines[0] == "|  | this gateway abc | LiteLLM 1.2.3 | Portkey 1.15 |"
    assert lines[2] == "| governs | all of it | no | no |"
    assert f"| {ADDED} | 3.00 [2.00..4.00] ms | **8.50x** [7.00..10.0] 24.0 [20.0..28.0] ms | " in found
    assert "| installed | 20.0 MB | **25.0x** 500 MB | - |" in lines
    assert "3 rounds, 10 minutes" in lines[-1]
    assert "a <fast> one, 2 cores" in lines[-1]


def test_the_brief_table_has_the_range_where_rounds_differ_by_more_than_three_tenths() -> None:
    (line,) = (each for each in brief(run()).splitlines() if each.startswith("| cold start to the first answer |"))
    assert line.count("[200..300]") == 2
    narrow = tuple(StartRecord(wall_ms, 100.0) for wall_ms in (100.0, 110.0, 130.0))
    subjects = tuple(msgspec.structs.replace(each, starts=narrow) for each in run().subjects)
    found = brief(msgspec.structs.replace(run(), subjects=subjects))
    assert "| cold start to the first answer | 110 ms | **1.00x** 110 ms | **1.00x** 110 ms |" in found


def test_a_figure_that_a_peer_s_own_waiting_makes_has_a_note() -> None:
    found, why = brief(run()), "Portkey waits 25 ms before it passes on the first piece of a stream."
    (line,) = (each for each in found.splitlines() if each.startswith("| added p50, first token of a stream"))
    assert line.endswith("4.00 ms (1) |")
    assert found.count("(1)") == 2
    assert f"\n\n(1) {why}\n\n" in found
    assert why in table("measured").note


def test_the_report_has_every_table_and_names_who_was_left_out_and_why() -> None:
    found = report(run())
    assert "- Bifrost: not <here>" in found
    assert "this gateway 20 (chat 15: 25.0 MB, embeddings 5: 35.0 MB); LiteLLM 20; Portkey 20." in found
    assert all(table_text(each) in found for each in tables(run(), (OURS, "litellm")))


def test_publishing_changes_only_what_is_between_the_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    publish(run(), tmp_path / "docs", readme)
    assert readme.read_text() == f"before\n{BEGIN}\n{brief(run())}\n{END}\nafter\n"
    assert sorted(file.name for file in (tmp_path / "docs").iterdir()) == ["peers.html", "peers.json", "peers.md"]


def test_nothing_is_written_where_readme_has_no_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing")
    with pytest.raises(Problem, match="has no line"):
        publish(run(), tmp_path / "docs", readme)
    assert not (tmp_path / "docs").exists()
    with pytest.raises(Problem, match="has no line"):
        with_table(f"{END}\n{BEGIN}\n", "table")


def test_the_page_needs_nothing_else_and_quotes_what_it_shows() -> None:
    found = page(run())
    assert re.findall(r"<script|<link|https?://|src=|@import|url\(", found) == []
    assert "prefers-color-scheme: dark" in found
    assert "a &lt;fast&gt; one" in found
    assert "Holds &amp; settles" in found
    assert "Bifrost: not &lt;here&gt;" in found
    assert found.count("<svg") == len(METRICS)


def test_a_chart_is_well_formed_and_shows_everybody_who_was_measured() -> None:
    drawn = chart(run(), metric(ADDED))
    svg = ElementTree.fromstring(drawn[drawn.index("<svg") :])  # noqa: S314 - drawn just now
    words = [each.text for each in svg.iter("text")]
    assert {"this gateway", "LiteLLM", "Portkey", "3.00 ms [2.00..4.00]", "4.00 ms"} <= set(words)
    assert [each.get("class") for each in svg.iter("circle")] == ["ours", "theirs", "theirs"]
    at = {each.get("cy"): float(each.get("cx", "0")) for each in svg.iter("circle")}
    assert sorted(at, key=lambda row: at[row]) == ["37", "89", "63"]


def test_a_chart_without_figures_is_empty() -> None:
    assert chart(run(), Metric("nothing", "ms", lambda _run, _subject: [])) == ""


def test_the_axis_reaches_over_all_values_in_powers_of_ten() -> None:
    axis = Axis.over([Figure(3.0, 2.0, 40.0)])
    assert axis.ticks() == [1.0, 10.0, 100.0]
    assert axis.x(1.0) < axis.x(3.0) < axis.x(40.0) < axis.x(100.0)
    assert axis.x(-1.0) == axis.x(0.0) == axis.x(1.0)
    assert Axis.over([Figure(5.0, 5.0, 5.0)]).ticks() == [1.0, 10.0]
    assert Axis.over([Figure(0.0, -1.0, 0.0)]).ticks() == [1.0, 10.0]
