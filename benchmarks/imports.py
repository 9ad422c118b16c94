"""What importing the chat function costs: CPU of the whole import, and which modules it goes to."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.function import Package
from local.console import Problem

_STARTUP_ENDS = "site"
# The runtime client comes first, as in the real process; what the handler's module builds belongs to its import.
_IMPORTS = "import gateway.entry.runtime.__main__, app"
_TIMED = f"""\
import json, time
cpu_s, wall_s = time.process_time(), time.perf_counter()
{_IMPORTS}
wall_s = time.perf_counter() - wall_s
print(json.dumps([(time.process_time() - cpu_s) * 1000, wall_s * 1000, time.process_time() * 1000]))
"""


@dataclass(frozen=True, slots=True)
class ImportTime:
    """Milliseconds of one import of everything; `process_cpu_ms` includes the start of the interpreter."""

    cpu_ms: float
    wall_ms: float
    process_cpu_ms: float


@dataclass(frozen=True, slots=True)
class ModuleCost:
    """One line of -X importtime; `own_us` is without the modules that it imports first."""

    name: str
    own_us: int
    cumulative_us: int


def measure(package: Package, aws_url: str) -> ImportTime:
    """Raises Problem when the function cannot be imported."""
    return ImportTime(*json.loads(_run(package, aws_url, [], _TIMED).stdout))


def trace(package: Package, aws_url: str) -> list[ModuleCost]:
    """What -X importtime says, without the interpreter's own start. Raises Problem."""
    traced = _run(package, aws_url, ["-X", "importtime"], _IMPORTS)
    return after_startup(parse(traced.stderr.decode()))


def parse(report: str) -> list[ModuleCost]:
    """The lines of a report, in its order: each module after those that it imports."""
    lines = [line.removeprefix("import time:").split("|") for line in report.splitlines()]
    return [
        ModuleCost(name.strip(), int(own), int(cumulative))
        for own, cumulative, name in (line for line in lines if len(line) == 3)
        if own.strip().isdecimal()
    ]


def after_startup(modules: list[ModuleCost]) -> list[ModuleCost]:
    """Without what every Python process imports."""
    names = [module.name for module in modules]
    return modules[names.index(_STARTUP_ENDS) + 1 :] if _STARTUP_ENDS in names else modules


def dearest(modules: Iterable[ModuleCost], count: int) -> list[tuple[str, int]]:
    """The modules with the largest own time, microseconds."""
    return Counter({module.name: module.own_us for module in modules}).most_common(count)


def dearest_packages(modules: Iterable[ModuleCost], count: int) -> list[tuple[str, int]]:
    """The same, summed by top-level package."""
    totals: Counter[str] = Counter()
    for module in modules:
        totals[module.name.partition(".")[0]] += module.own_us
    return totals.most_common(count)


def _run(package: Package, aws_url: str, options: list[str], code: str) -> subprocess.CompletedProcess[bytes]:
    finished = subprocess.run(  # noqa: S603 - runs the function's interpreter on the code above
        [str(package.interpreter), "-P", *options, "-c", code],
        cwd=package.task,
        env={**package.variables(aws_url), "PYTHONPATH": package.search_path()},
        capture_output=True,
        check=False,
    )
    if finished.returncode:
        raise Problem(f"The chat function cannot be imported:\n{finished.stderr.decode()[-2000:]}")
    return finished
