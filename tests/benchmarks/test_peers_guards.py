"""Which runs are published: full ones of a commit on a quiet machine, or others whose page says what they are."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import machine
from benchmarks.__main__ import options
from benchmarks.peers import guards, published, revision
from benchmarks.peers.guards import hindrances
from benchmarks.peers.page import page
from benchmarks.peers.published import BEGIN, END, Publish, brief, publish, report
from benchmarks.peers.record import Run
from local.console import Problem, Progress
from tests.benchmarks.peers_run import MACHINE, run


def where(**changes: Any) -> Run:
    return msgspec.structs.replace(run(), machine={**MACHINE, **changes})


def made(**changes: Any) -> Run:
    return msgspec.structs.replace(run(), options={**run().options, **changes})


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    found = tmp_path / "README.md"
    found.write_text(f"{BEGIN}\nold\n{END}\n")
    return found


HINDERED = [
    (where(load_1min=1.01), r"load was 1.01 at the start"),
    (where(load_at_end=1.5), r"load was 1.5 at the end"),
    (msgspec.structs.replace(run(), machine={k: v for k, v in MACHINE.items() if k != "load_at_end"}), "not known"),
    (made(share=0.25), "25% of the requests"),
    (made(rounds=2), "2 rounds"),
    (made(changed=True), "changes that are in no commit"),
    (msgspec.structs.replace(run(), stack={}), "local stack"),
    (msgspec.structs.replace(run(), subjects=()), "of no commit"),
]


def test_nothing_hinders_a_full_run_of_a_quiet_machine() -> None:
    assert hindrances(run()) == []
    assert hindrances(where(load_1min=1.0, load_at_end=1.0)) == []


@pytest.mark.parametrize(("hindered", "why"), HINDERED, ids=[why for _, why in HINDERED])
def test_what_hinders_a_run_is_named_and_nothing_is_written(hindered: Run, why: str, readme: Path) -> None:
    assert len(hindrances(hindered)) == 1
    with pytest.raises(Problem, match=f"Not published: .*{why}"):
        publish(hindered, readme.parent / "docs", readme)
    assert "old" in readme.read_text()
    assert not (readme.parent / "docs").exists()


def test_a_run_that_is_published_all_the_same_says_why_it_should_not_be(readme: Path) -> None:
    publish(where(load_at_end=1.5), readme.parent / "docs", readme, is_forced=True)
    why = "Published all the same: the load was 1.5 at the end, more than half of the 2 cores."
    for shown in (readme.read_text(), report(where(load_at_end=1.5)), page(where(load_at_end=1.5))):
        assert why in shown
        assert "neither figures nor ratios are to be relied on" in shown
    for shown in (brief(run()), report(run()), page(run())):
        assert "all the same" not in shown
        assert "relied on" not in shown


def test_only_a_full_run_beside_the_peers_can_be_published() -> None:
    assert options(["--publish", "--only", "P"]).publish
    assert options(["--publish-anyway", "--only", "P"]).publish_anyway
    for arguments in (["--publish"], ["--publish", "--only", "A", "P"], ["--publish", "--only", "P", "--quick"]):
        with pytest.raises(SystemExit):
            options(arguments)
        with pytest.raises(SystemExit):
            options([arguments[0] + "-anyway", *arguments[1:]])


def test_nothing_is_measured_where_it_could_not_be_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured: list[int] = []

    def measure(rounds: int, *_: object) -> Run:
        measured.append(rounds)
        return run()

    monkeypatch.setattr(published, "measure", measure)
    monkeypatch.setattr(revision, "is_changed", lambda: True)
    monkeypatch.setattr(machine, "description", lambda: MACHINE)
    with pytest.raises(Problem, match="in no commit"):
        published.part(5, 1.0, tmp_path, Publish.GUARDED, Progress())
    assert measured == []
    published.part(5, 1.0, tmp_path, Publish.NO, Progress())
    assert measured == [5]
    assert (tmp_path / "peers.json").exists()


def test_the_load_before_a_run_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "is_changed", lambda: False)
    monkeypatch.setattr(revision, "commit", lambda: "abc")
    monkeypatch.setattr(machine, "description", lambda: {"cores": 2, "load_1min": 1.5})
    assert guards.before() == ["the load was 1.5 at the start, more than half of the 2 cores"]


def test_the_machine_is_told_with_both_loads() -> None:
    told = machine.sentence(MACHINE)
    assert told.endswith("load 0.1 at the start, 0.2 at the end.")
    assert machine.sentence({**MACHINE, "load_1min": 0.6}).endswith(
        "A little other work was running: the clock's figures may be too high."
    )


@pytest.mark.skipif(not machine.IS_LINUX, reason="reads what only Linux tells of processes")
def test_a_process_that_works_is_seen() -> None:
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:  # noqa: S607 - whichever shell there is
        try:
            assert machine.others_at_work(1.0) > 0
        finally:
            busy.kill()


def test_code_that_is_in_no_commit_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "REPOSITORY", tmp_path)
    assert (revision.commit(), revision.is_changed()) == ("", False)
    for name in ("layers", "docs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("one")
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "one")
    assert len(revision.commit()) >= 7
    (tmp_path / "docs" / "file").write_text("two")
    assert not revision.is_changed()
    (tmp_path / "layers" / "new").write_text("two")
    assert revision.is_changed()


def _git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)  # noqa: S603, S607 - our own words
