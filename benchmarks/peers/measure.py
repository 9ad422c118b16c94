"""Part P: the gateway beside its peers, all asked for the same in the same rounds."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import machine, scenarios
from benchmarks.aws_stand_in import AwsStandIn
from benchmarks.function import Package, serving
from benchmarks.machine import Cores, pinned_to
from benchmarks.peers import revision, targets
from benchmarks.peers.asking import FEWEST
from benchmarks.peers.contenders import Contender, Direct, Functions, Served, Start, start_of
from benchmarks.peers.install import Installed, size_mb
from benchmarks.peers.process import PeerProcess, Place
from benchmarks.peers.record import Part, Rounds, Run, SliceRecord, StartRecord, Subject
from benchmarks.peers.stack import stack_rounds
from benchmarks.peers.targets import OURS, PEERS, Peer
from benchmarks.scenarios import Scenario
from local.console import Problem, Progress

SCENARIOS = (
    scenarios.CHAT_1KB,
    scenarios.CHAT_32KB,
    scenarios.FIRST_BYTE,
    scenarios.BURST,
    scenarios.FLOATS,
)
LONGEST = 400
"""Characters of a log's line that are kept as a reason."""
COLD_STARTS = 3
"""At most, for a start takes some of the peers many seconds."""


@dataclass(slots=True)
class Bench:
    """What is there to be measured, and what was found."""

    place: Place
    functions: Functions
    installed: dict[str, Installed]
    progress: Progress
    commit: str = ""
    left_out: dict[str, str] = field(default_factory=lambda: dict(targets.LEFT_OUT))
    rounds: dict[str, dict[str, list[SliceRecord]]] = field(default_factory=lambda: defaultdict(dict))
    starts: dict[str, list[StartRecord]] = field(default_factory=lambda: defaultdict(list))
    served: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By who was asked, and by the function that serves such requests here."""
    memory_mb: dict[str, dict[str, float]] = field(default_factory=dict)

    def run(self, direct: Direct, rounds: int, share: float) -> None:
        """One round more than counted: the first one warms up, and tells who cannot do his part."""
        with ExitStack() as opened:
            opened.enter_context(self.functions.running())
            contenders: list[Contender] = [direct, self.functions, *self._served(opened)]
            for number in range(rounds + 1):
                for scenario in SCENARIOS:
                    count = max(FEWEST, int(scenario.slice_requests * share))
                    for contender in turned(contenders, number):
                        if not self._slice(contender, scenario, count, counted=number > 0):
                            contenders.remove(contender)
                self.progress.say(f"round {number} of {rounds}" if number else "everybody is warm")
            self.memory_mb = {each.name: each.memory_mb() for each in contenders}

    def start_cold(self, times: int) -> None:
        """Each time every program anew, with nobody else at work; the first start of each fills the page cache."""
        for number in range(times + 1):
            self._note_start(OURS, self.functions.start(), number)
            for peer in self._peers():
                try:
                    start = start_of(PeerProcess(peer, self.installed[peer.name], self.place))
                except Problem as problem:
                    self._leave_out(peer, problem)
                else:
                    self._note_start(peer.name, start, number)
        self.progress.say(f"{times} cold starts of each")

    def _note_start(self, name: str, start: Start, number: int) -> None:
        if number:
            self.starts[name].append(StartRecord(round(start.wall_ms, 1), round(start.cpu_ms, 1)))

    def _served(self, opened: ExitStack) -> Iterator[Served]:
        for peer in self._peers():
            process = PeerProcess(peer, self.installed[peer.name], self.place)
            try:
                opened.enter_context(process.running())
            except Problem as problem:
                self._leave_out(peer, problem)
                continue
            yield Served(process)

    def _peers(self) -> list[Peer]:
        return [peer for peer in PEERS if peer.name in self.installed]

    def _slice(self, contender: Contender, scenario: Scenario, count: int, *, counted: bool) -> bool:
        """Whether it did its part. A peer that does not is left out; the gateway that does not is a Problem."""
        try:
            found = contender.slice(scenario, count)
        except (Problem, OSError) as error:
            peer = next((peer for peer in PEERS if peer.name == contender.name), None)
            if peer is None:
                raise Problem(f"{contender.name}, {scenario.name}: {error}") from error
            self._leave_out(peer, error)
            if isinstance(contender, Served):
                contender.stop()
            return False
        self.served[contender.name][scenario.endpoint.function] += len(found.answers)
        if counted:
            record = SliceRecord.of(found.answers, found.cpu_ms)
            self.rounds[scenario.name].setdefault(contender.name, []).append(record)
        return True

    def _leave_out(self, peer: Peer, error: Exception) -> None:
        self.installed.pop(peer.name, None)
        for by_name in self.rounds.values():
            by_name.pop(peer.name, None)
        self.left_out[peer.title] = reason(error)
        self.progress.say(f"{peer.title} is left out: {error}")

    def through_local_stack(self, rounds: int, share: float) -> Rounds:
        """Nothing, and the reason among those left out, where the stack does not do its part."""
        try:
            with provider() as port:
                return stack_rounds(port, rounds, share, self.progress)
        except (Problem, OSError) as error:
            self.left_out["this gateway through the local stack"] = reason(error)
            self.progress.say(f"The local stack is left out: {error}")
            return {}

    def subjects(self, our_size_mb: float) -> Iterator[Subject]:
        """The gateway, then every peer that did its part."""
        yield self._subject(
            OURS, (targets.OURS_TITLE, targets.OURS_GOVERNS, targets.OURS_DOES, self.commit), our_size_mb
        )
        for peer in self._peers():
            found = self.installed[peer.name]
            yield self._subject(peer.name, (peer.title, peer.governs, peer.does, found.version), found.size_mb)

    def _subject(self, name: str, words: tuple[str, str, str, str], size_mb: float) -> Subject:
        found, served, starts = self.memory_mb.get(name, {}), self.served[name], tuple(self.starts[name])
        memory_mb = round(sum(found.values()), 1) if found else None
        parts = [Part(part, round(part_mb, 1), served[part]) for part, part_mb in found.items()]
        kept = tuple(parts) if len(parts) > 1 else ()
        return Subject(name, *words, round(size_mb, 1), memory_mb, served.total(), starts, kept)


def measure(rounds: int, share: float, progress: Progress) -> Run:
    """Raises Problem when the gateway itself cannot be measured."""
    began_s, where, cores = time.monotonic(), machine.description(), Cores.choose()
    commit, is_changed = revision.commit(), revision.is_changed()
    installed, left_out = install(progress)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as scratch:
        folder = Path(scratch)
        with progress.step("building the layers as they are deployed"):
            package = Package.build(folder)
        our_size_mb = size_mb(package.opt) + size_mb(package.task)
        with (
            pinned_to(cores.measuring),
            provider() as port,
            AwsStandIn(f"http://127.0.0.1:{port}/v1") as aws,
        ):
            place = Place(f"http://127.0.0.1:{port}/v1", folder, cores.measured)
            bench = Bench(place, Functions(package, aws, cores.measured), installed, progress, commit)
            bench.left_out |= left_out
            bench.start_cold(min(rounds, COLD_STARTS))
            bench.run(Direct(port), rounds, share)
    stack = bench.through_local_stack(rounds, share)
    with progress.step("all has ended; looking at what others do"):
        where[machine.LOAD_AT_END] = machine.others_at_work()
    kept: Rounds = {
        scenario: {name: tuple(slices) for name, slices in by_name.items()}
        for scenario, by_name in bench.rounds.items()
    }
    subjects, took_s = tuple(bench.subjects(our_size_mb)), round(time.monotonic() - began_s, 1)
    options = {"rounds": rounds, "share": share, "changed": is_changed}
    return Run(where, options, took_s, subjects, bench.left_out, kept, stack)


def install(progress: Progress) -> tuple[dict[str, Installed], dict[str, str]]:
    """What could be installed, by the peer's name; and why the others could not, by title."""
    installed: dict[str, Installed] = {}
    left_out: dict[str, str] = {}
    for peer in PEERS:
        try:
            installed[peer.name] = peer.installation.make(peer.installation, progress)
        except Problem as problem:
            left_out[peer.title] = reason(problem)
            progress.say(f"{peer.title} is left out: {left_out[peer.title]}")
    return installed, left_out


def reason(error: Exception) -> str:
    """What went wrong, in one line: the first one, and where that announces a log, the log's last one."""
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"{first} {rest[-1][:LONGEST]}" if first.endswith(":") and rest else first.rstrip(":")


def turned(things: Sequence[Contender], number: int) -> list[Contender]:
    """Another one first in every round."""
    at = number % len(things)
    return [*things[at:], *things[:at]]


def provider() -> AbstractContextManager[int]:
    """The provider's process, by its port."""
    return serving("benchmarks.peers.provider")
