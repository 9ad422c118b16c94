"""What part A measured, as tables, and whether the aims were kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from benchmarks import aims, imports, scenarios
from benchmarks.exchange import Timed
from benchmarks.figures import Figure, Row, Table, quantile
from benchmarks.report import Report
from benchmarks.scenarios import Scenario

TOP_MODULES = 12
CHAT_MEMORY = f"resident memory of {scenarios.CHAT.function} after"
FIRST_ANSWER_CPU = "process start to first answer, CPU"
AT_ONCE = f"chat 1 KB, {aims.POLLERS} at once"
PERCENTILES = (50, 95, 99)
CHATS = (scenarios.CHAT_1KB, scenarios.CHAT_32KB)
FIRST = (scenarios.FIRST_BYTE,)
VECTORS = (scenarios.FLOATS, scenarios.BASE64)


@dataclass(slots=True)
class Measured:
    """One value a round of everything: `timed[scenario name, "direct" | "gateway"]` the answers of a slice,
    `cpu_ms[scenario name]` the function's CPU per request, per start or import a value by name, how fast the machine
    was, and how many requests a second many pollers had answered. `memory_mb`: now and at most, by function and how
    many requests it served. `package_mb`: what there is under /opt and /var/task.
    """

    timed: dict[tuple[str, str], list[list[Timed]]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    reference_ms: list[float] = field(default_factory=list)
    answered_per_s: list[float] = field(default_factory=list)
    memory_mb: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)
    package_mb: float = 0.0

    def note(self, scenario: Scenario, side: str, answers: list[Timed]) -> None:
        self.timed[scenario.name, side].append(answers)

    def compared(self, scenario: Scenario, percent: int) -> Row:
        """To the first text of `FIRST_BYTE`, to the last byte of everything else."""
        first = scenario is scenarios.FIRST_BYTE
        direct, gateway = (
            [quantile([each.first_ms if first else each.last_ms for each in answers], percent) for answers in slices]
            for slices in (self.timed[scenario.name, "direct"], self.timed[scenario.name, "gateway"])
        )
        return Row.compared(f"{scenario.name}, p{percent}", "ms", direct, gateway)


def report_of(measured: Measured, modules: list[imports.ModuleCost]) -> Report:
    tables = [_latency(measured), _cost(measured), _start(measured), *_modules(modules)]
    return Report(tables, list(_verdicts(tables)))


def _latency(measured: Measured) -> Table:
    rows = [measured.compared(scenario, percent) for scenario, percent in product((*CHATS, *FIRST), PERCENTILES)]
    rows.append(measured.compared(scenarios.BURST, 50))
    rows += [measured.compared(scenario, percent) for scenario, percent in product(VECTORS, PERCENTILES)]
    note = (
        "From the event handed to the runtime client (or the request sent to the simulator) to the last byte, or to "
        "the first text of a stream. Two AWS calls are answered from memory."
    )
    return Table("Added latency of the gateway's code, warm, no emulator", note, rows)


def _cost(measured: Measured) -> Table:
    cpu_ms = measured.cpu_ms
    rows = [
        Row.single(f"CPU per invocation, {scenario.name}", "ms", cpu_ms[scenario.name])
        for scenario in (*CHATS, *VECTORS)
    ]
    rows.append(Row.single(f"CPU per invocation, {AT_ONCE}", "ms", cpu_ms[AT_ONCE]))
    rows.append(Row.single(aims.ONE_CORE.name, "1/s", [1_000 / each_ms for each_ms in cpu_ms[AT_ONCE]]))
    rows.append(
        Row.single(
            "answered meanwhile, by the clock; its clients on the other core are slower", "1/s", measured.answered_per_s
        )
    )
    rows += [
        Row.single(
            f"CPU per 1,000 chunks, {scenario.name}",
            "ms",
            [value * 1_000 / scenario.chunks for value in cpu_ms[scenario.name]],
        )
        for scenario in (scenarios.BURST, scenarios.PACED)
    ]
    for (function, served), (now_mb, peak_mb) in measured.memory_mb.items():
        rows.append(Row.single(f"resident memory of {function} after {served:,} requests", "MB", [now_mb]))
        rows.append(Row.single(f"peak memory of {function}", "MB", [peak_mb]))
    rows.append(Row.single(aims.PACKAGE_SIZE.name, "MB", [measured.package_mb]))
    rows.append(Row.single("for comparison: a fixed piece of Python work, CPU", "ms", measured.reference_ms))
    note = "User and system time of all its threads. The last line tells how fast the machine was meanwhile."
    return Table("Cost of the function's process", note, rows)


def _start(measured: Measured) -> Table:
    names = {
        "ready": "process start to ready, wall",
        "invocation": "first invocation, wall",
        "answer": "process start to first answer, wall",
        "cpu": FIRST_ANSWER_CPU,
        "import cpu": "import of the chat function, CPU",
        "import wall": "import of the chat function, wall",
        "process cpu": "interpreter start and import, CPU",
    }
    rows = [Row.single(name, "ms", measured.starts[key]) for key, name in names.items()]
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


def _verdicts(tables: Sequence[Table]) -> Iterator[aims.Verdict]:
    found: dict[str, Figure] = {
        row.name: row.figures.get("added") or row.figures["measured"] for table in tables for row in table.rows
    }
    aimed_at = ((CHATS, aims.added_latency), (FIRST, aims.added_to_first_token), (VECTORS, aims.added_to_vectors))
    for kind, aimed in aimed_at:
        for scenario in kind:
            for percent, aim in aimed(scenario.name).items():
                yield aim.judged(found[f"{scenario.name}, p{percent}"].median)
    yield aims.CHAT_CPU.judged(found[f"CPU per invocation, {scenarios.CHAT_1KB.name}"].median)
    yield aims.BURST_CPU.judged(found[f"CPU per 1,000 chunks, {scenarios.BURST.name}"].median)
    yield aims.ONE_CORE.judged(found[aims.ONE_CORE.name].median)
    yield aims.FIRST_ANSWER_CPU.judged(found[FIRST_ANSWER_CPU].median)
    yield aims.CHAT_MEMORY.judged(next(found[name].median for name in found if name.startswith(CHAT_MEMORY)))
    yield aims.PACKAGE_SIZE.judged(found[aims.PACKAGE_SIZE.name].median)
