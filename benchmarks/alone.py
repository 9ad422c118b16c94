"""Part A: the gateway's own code, in the real exec wrapper, without the emulator."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import aims, imports, scenarios
from benchmarks.aws_stand_in import API_KEY, AwsStandIn
from benchmarks.event import chat_event
from benchmarks.exchange import DirectClient, Timed
from benchmarks.figures import Figure, Row, Table, quantile
from benchmarks.function import Package, running, simulators
from benchmarks.machine import Cores, CpuClock, memory_mb, pinned_to, reference_ms
from benchmarks.report import Report
from benchmarks.runtime_api import RuntimeApi
from benchmarks.scenarios import Scenario
from local.console import Problem, Progress

PREFIX = "/openai/v1"
WARM_UP_REQUESTS = 200
TOP_MODULES = 12
IMPORT_CPU = "import of the chat function, CPU"
PERCENTILES = (50, 95, 99)
_DONE = b"data: [DONE]"
_USAGE = b'"usage":{'


@dataclass(slots=True)
class Rounds:
    """One value a round of everything that is measured: `timed[scenario name, "direct" | "gateway"]` the answers of
    a slice, `cpu_ms[scenario name]` the function's CPU per request, per start or import a value by name, and how fast
    the machine was.
    """

    timed: dict[tuple[str, str], list[list[Timed]]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    reference_ms: list[float] = field(default_factory=list)

    def quantiles(self, scenario: Scenario, side: str, percent: int, *, first: bool) -> list[float]:
        slices = self.timed[scenario.name, side]
        return [quantile([each.first_ms if first else each.last_ms for each in answers], percent) for answers in slices]


class Alone:
    """A warm function process and a direct connection, to be measured in turn."""

    def __init__(self, package: Package, cores: Cores, simulators_port: int, aws: AwsStandIn) -> None:
        self._package, self._cores, self._aws = package, cores, aws
        self._direct = DirectClient(simulators_port, f"{PREFIX}/chat/completions")
        self.rounds = Rounds()
        self.served = 0
        self.memory_mb = (0.0, 0.0)

    @contextmanager
    def _function(self) -> Iterator[tuple[int, RuntimeApi]]:
        with RuntimeApi() as api, running(self._package, self._aws.url, api.authority, self._cores.measured) as pid:
            yield pid, api

    def run(self, rounds: int, share: float, progress: Progress) -> None:
        """`share` of the full number of requests in each slice."""
        with self._function() as (pid, api):
            clock = CpuClock(pid)
            for scenario in scenarios.ALL:
                self._warm(scenario, api, share)
            for number in range(rounds):
                for scenario in scenarios.ALL:
                    self._round(scenario, api, clock, number, share)
                self._start_cold()
                self._import()
                progress.say(f"round {number + 1} of {rounds}")
            self.memory_mb = memory_mb(pid)
        self._direct.close()

    def _warm(self, scenario: Scenario, api: RuntimeApi, share: float) -> None:
        """Also holds one answer of each side against what it must be."""
        for _ in range(max(2, int(share * WARM_UP_REQUESTS / (1 + scenario.chunks)))):
            self._check(scenario, self._direct.call(scenario.provider_body()))
            self._check(scenario, self._invoke(scenario, api))

    def _check(self, scenario: Scenario, answer: Timed) -> None:
        wanted = _DONE if scenario.chunks else _USAGE
        if wanted not in answer.raw.replace(b": {", b":{") or answer.raw.count(b"data: {") < scenario.chunks:
            raise Problem(f"Not a whole answer to '{scenario.name}': ...{answer.raw[-500:]!r}")

    def _round(self, scenario: Scenario, api: RuntimeApi, clock: CpuClock, number: int, share: float) -> None:
        count = max(2, int(scenario.slice_requests * share))
        sides: list[Callable[[], None]] = [
            lambda: self._direct_slice(scenario, count),
            lambda: self._gateway_slice(scenario, count, api, clock),
        ]
        for side in sides if number % 2 else reversed(sides):
            side()

    def _direct_slice(self, scenario: Scenario, count: int) -> None:
        body = scenario.provider_body()
        self.rounds.timed[scenario.name, "direct"].append([self._direct.call(body) for _ in range(count)])

    def _gateway_slice(self, scenario: Scenario, count: int, api: RuntimeApi, clock: CpuClock) -> None:
        api.await_poll()
        before_ms = clock.read_ms()
        self.rounds.timed[scenario.name, "gateway"].append([self._invoke(scenario, api) for _ in range(count)])
        api.await_poll()
        self.rounds.cpu_ms[scenario.name].append((clock.read_ms() - before_ms) / count)

    def _invoke(self, scenario: Scenario, api: RuntimeApi) -> Timed:
        self.served += 1
        return api.invoke(chat_event(scenario.client_body(), API_KEY))

    def _start_cold(self) -> None:
        """From the start of the exec wrapper to the last byte of the first answer, whose event waits already."""
        event = chat_event(scenarios.CHAT_1KB.client_body(), API_KEY)
        started_s = time.perf_counter()
        with self._function() as (pid, api):
            api.await_poll()
            ready_ms = (time.perf_counter() - started_s) * 1000
            first = api.invoke(event)
            whole_ms = (time.perf_counter() - started_s) * 1000
            cpu_ms = CpuClock(pid).read_ms()
        values = {"ready": ready_ms, "invocation": first.last_ms, "answer": whole_ms, "cpu": cpu_ms}
        for name, value in values.items():
            self.rounds.starts[name].append(value)

    def _import(self) -> None:
        with pinned_to(self._cores.measured):
            self.rounds.reference_ms.append(reference_ms())
            found = imports.measure(self._package, self._aws.url)
        for name, value in (
            ("import cpu", found.cpu_ms),
            ("import wall", found.wall_ms),
            ("process cpu", found.process_cpu_ms),
        ):
            self.rounds.starts[name].append(value)


def measure(rounds: int, share: float, progress: Progress) -> Report:
    """Raises Problem."""
    cores = Cores.choose()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        with progress.step("building the layers as they are deployed"):
            package = Package.build(Path(folder))
        with (
            pinned_to(cores.measuring),
            simulators() as port,
            AwsStandIn(f"http://127.0.0.1:{port}{PREFIX}") as aws,
        ):
            alone = Alone(package, cores, port, aws)
            alone.run(rounds, share, progress)
            modules = imports.trace(package, aws.url)
    tables = [_latency(alone.rounds), _cost(alone), _start(alone.rounds), *_modules(modules)]
    return Report(tables, list(_verdicts(tables)))


def _latency(rounds: Rounds) -> Table:
    rows = [
        Row.compared(
            f"{scenario.name}, p{percent}",
            "ms",
            *(rounds.quantiles(scenario, side, percent, first=first) for side in ("direct", "gateway")),
        )
        for scenario, first in (
            (scenarios.CHAT_1KB, False),
            (scenarios.CHAT_32KB, False),
            (scenarios.FIRST_BYTE, True),
        )
        for percent in PERCENTILES
    ]
    rows.append(
        Row.compared(
            f"{scenarios.BURST.name}, p50",
            "ms",
            *(rounds.quantiles(scenarios.BURST, side, 50, first=False) for side in ("direct", "gateway")),
        )
    )
    note = (
        "From the event handed to the runtime client (or the request sent to the simulator) to the last byte, or to "
        "the first streamed event. Two AWS calls are answered from memory."
    )
    return Table("Added latency of the gateway's code, warm, no emulator", note, rows)


def _cost(alone: Alone) -> Table:
    cpu_ms = alone.rounds.cpu_ms
    rows = [
        Row.single(f"CPU per invocation, {scenario.name}", "ms", cpu_ms[scenario.name])
        for scenario in (scenarios.CHAT_1KB, scenarios.CHAT_32KB)
    ]
    rows += [
        Row.single(
            f"CPU per 1,000 chunks, {scenario.name}",
            "ms",
            [value * 1_000 / scenario.chunks for value in cpu_ms[scenario.name]],
        )
        for scenario in (scenarios.BURST, scenarios.PACED)
    ]
    now_mb, peak_mb = alone.memory_mb
    rows.append(Row.single(f"resident memory after {alone.served:,} requests", "MB", [now_mb]))
    rows.append(Row.single("peak memory", "MB", [peak_mb]))
    rows.append(Row.single("for comparison: a fixed piece of Python work, CPU", "ms", alone.rounds.reference_ms))
    note = "User and system time of all its threads. The last line tells how fast the machine was meanwhile."
    return Table("Cost of the function's process", note, rows)


def _start(rounds: Rounds) -> Table:
    names = {
        "ready": "process start to ready, wall",
        "invocation": "first invocation, wall",
        "answer": "process start to first answer, wall",
        "cpu": "process start to first answer, CPU",
        "import cpu": IMPORT_CPU,
        "import wall": "import of the chat function, wall",
        "process cpu": "interpreter start and import, CPU",
    }
    rows = [Row.single(name, "ms", rounds.starts[key]) for key, name in names.items()]
    return Table("Cold start", "New processes, bytecode compiled, files in the page cache.", rows)


def _modules(modules: list[imports.ModuleCost]) -> list[Table]:
    whole_us = sum(module.own_us for module in modules)

    def table(what: str, found: list[tuple[str, int]]) -> Table:
        rows = [Row.single("all", "ms", [whole_us / 1000])]
        rows += [Row.single(name, "ms", [own_us / 1000]) for name, own_us in found]
        return Table(f"Import time by {what} (-X importtime)", "Own time, without what a module imports first.", rows)

    return [
        table("module", imports.dearest(modules, TOP_MODULES)),
        table("package", imports.dearest_packages(modules, TOP_MODULES)),
    ]


def _verdicts(tables: list[Table]) -> Iterator[aims.Verdict]:
    found: dict[str, Figure] = {
        row.name: row.figures.get("added") or row.figures["measured"] for table in tables for row in table.rows
    }
    for scenario in (scenarios.CHAT_1KB, scenarios.CHAT_32KB, scenarios.FIRST_BYTE):
        for percent, aim in aims.added_latency(scenario.name).items():
            yield aim.judged(found[f"{scenario.name}, p{percent}"].median)
    yield aims.IMPORT_CPU.judged(found[IMPORT_CPU].median)
