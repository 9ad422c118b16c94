"""The rounds beside the peers: everybody is asked for the same as often, and who fails is left out with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks.exchange import Timed
from benchmarks.peers import measure
from benchmarks.peers.asking import FEWEST
from benchmarks.peers.contenders import Direct, Functions, Served, Slice, Start
from benchmarks.peers.install import LITELLM, PORTKEY, Installation, Installed
from benchmarks.peers.measure import SCENARIOS, Bench, install
from benchmarks.peers.process import Place
from benchmarks.peers.record import Rounds
from benchmarks.peers.targets import DIRECT, LEFT_OUT, OURS, PEERS
from benchmarks.scenarios import Scenario
from local.console import Problem, Progress

FAILING, WELL = "portkey", "litellm"
ROUNDS, SHARE = 3, 0.1


class Asked(Direct, Functions, Served):
    """Somebody who answers in no time, until he has been asked `often` enough."""

    def __init__(self, name: str, asked: list[str], often: int = 1_000) -> None:
        self.name = name
        self._asked, self._often = asked, often
        self.is_stopped = False

    def slice(self, scenario: Scenario, count: int) -> Slice:
        self._asked.append(self.name)
        if Counter(self._asked)[self.name] > self._often:
            raise Problem("no more\nand a log")
        return Slice([Timed(1.0, 2.0, b"")] * count, 0.5)

    def memory_mb(self) -> dict[str, float]:
        return {"chat": 4.0, "embeddings": 6.0} if self.name == OURS else {self.name: 10.0}

    def stop(self) -> None:
        self.is_stopped = True

    def start(self) -> Start:
        return Start(2.0, 1.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        yield


class Staged(Bench):
    """With peers that are not processes."""

    def __init__(self, asked: list[str], often: int) -> None:
        place = Place("http://127.0.0.1:1/v1", Path(), 0)
        installed = {name: Installed(Path(), "1.0", 20.0) for name in (WELL, FAILING)}
        super().__init__(place, Asked(OURS, asked), installed, Progress())
        self.peers = [Asked(WELL, asked), Asked(FAILING, asked, often)]

    def _served(self, opened: ExitStack) -> Iterator[Served]:
        yield from self.peers


def rounds_of(often: int = 1_000) -> tuple[Staged, list[str]]:
    asked: list[str] = []
    bench = Staged(asked, often)
    bench.run(Asked(DIRECT, asked), ROUNDS, SHARE)
    return bench, asked


def test_everybody_is_asked_as_often_in_turn_and_the_first_round_does_not_count() -> None:
    bench, asked = rounds_of()
    assert set(Counter(asked).values()) == {len(SCENARIOS) * (ROUNDS + 1)}
    assert {len(slices) for by_name in bench.rounds.values() for slices in by_name.values()} == {ROUNDS}
    a_round = len(SCENARIOS) * 4
    assert [asked[number * a_round] for number in range(4)] == [DIRECT, OURS, WELL, FAILING]
    for at in range(0, len(asked), 4):
        assert len(set(asked[at : at + 4])) == 4


def test_a_slice_has_its_share_of_the_requests_and_ten_at_least() -> None:
    bench, _ = rounds_of()
    found = {scenario: by_name[OURS][0].requests for scenario, by_name in bench.rounds.items()}
    assert found == {each.name: max(FEWEST, int(each.slice_requests * SHARE)) for each in SCENARIOS}


@pytest.mark.parametrize("often", [0, len(SCENARIOS) + 2])
def test_a_peer_that_fails_is_left_out_with_its_reason_and_the_others_go_on(often: int) -> None:
    bench, asked = rounds_of(often)
    assert bench.left_out == {**LEFT_OUT, "Portkey": "no more"}
    assert all(set(by_name) == {DIRECT, OURS, WELL} for by_name in bench.rounds.values())
    assert Counter(asked)[WELL] == len(SCENARIOS) * (ROUNDS + 1)
    subjects = list(bench.subjects(50.0))
    assert [each.name for each in subjects] == [OURS, WELL]
    assert [each.is_stopped for each in bench.peers] == [False, True]


def test_memory_is_that_of_all_processes_and_each_says_what_it_served() -> None:
    bench, _ = rounds_of()
    ours, *peers = bench.subjects(50.0)
    assert [each.memory_mb for each in (ours, *peers)] == [10.0, 10.0, 10.0]
    assert [(part.name, part.memory_mb) for part in ours.parts] == [("chat", 4.0), ("embeddings", 6.0)]
    vectors = FEWEST * (ROUNDS + 1)
    assert [part.served for part in ours.parts] == [ours.served - vectors, vectors]
    assert [(each.parts, each.served) for each in peers] == [((), ours.served)] * 2


def test_a_gateway_that_fails_ends_the_run() -> None:
    asked: list[str] = []
    bench = Staged(asked, 1_000)
    bench.functions = Asked(OURS, asked, 3)
    with pytest.raises(Problem, match=r"^gateway, .*: no more"):
        bench.run(Asked(DIRECT, asked), ROUNDS, SHARE)


def test_a_stack_that_fails_takes_nothing_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> Rounds:
        raise Problem("The stack did not start:\n    is up\n    Problem: 504\n")

    monkeypatch.setattr(measure, "stack_rounds", failing)
    bench, _ = rounds_of()
    assert bench.through_local_stack(ROUNDS, SHARE) == {}
    assert bench.left_out["this gateway through the local stack"] == "The stack did not start: Problem: 504"
    assert len(list(bench.subjects(50.0))) == 3


def test_what_cannot_be_installed_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(wanted: Installation, progress: Progress) -> Installed:
        if wanted is PORTKEY:
            raise Problem("needs node and npm, which are not here\nmore")
        return Installed(Path(), "1.0", 20.0)

    for one in {peer.installation for peer in PEERS}:
        monkeypatch.setattr(type(one), "make", property(lambda self: made))
    installed, left_out = install(Progress())
    assert left_out == {"Portkey": "needs node and npm, which are not here"}
    assert {peer.name for peer in PEERS if peer.installation is LITELLM} <= set(installed)
