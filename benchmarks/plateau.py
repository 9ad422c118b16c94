"""Whether processes that work for long still grow: their resident memory, the second third of a run beside the last."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import memory_mb
from local.deploy import STACK_NAME
from local.endpoints import Endpoints

EVERY_S = 3.0
FEWEST = 4
"""Samples of a process that there have to be in each of the two thirds; whoever has fewer is in no comparison."""
SLACK_MB, SLACK = 8.0, 0.10
STORE = "stack"
"""The emulator: its AWS, tables, buckets and logs, is in its memory, so it grows with what is stored."""


@dataclass(frozen=True, slots=True)
class Grown:
    """Medians of one process, MB. `samples`: in both thirds together."""

    name: str
    second_mb: float
    last_mb: float
    samples: int = 0

    @property
    def excess_mb(self) -> float:
        """What it has grown beyond the slack; 0 where it has not."""
        return max(0.0, self.last_mb - self.second_mb - max(SLACK_MB, SLACK * self.second_mb))


@dataclass(slots=True)
class Memory:
    """Samples by process: seconds since the run began, and MB."""

    samples: dict[tuple[str, int], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def sample(self, endpoints: Endpoints, at_s: float) -> None:
        for name, pid in processes(endpoints):
            try:
                resident_mb, _ = memory_mb(pid)
            except (OSError, KeyError):
                continue  # it has ended meanwhile
            self.samples[name, pid].append((at_s, resident_mb))

    def peaks_mb(self) -> dict[str, float]:
        """By name, of all processes that ever had it."""
        found: dict[str, float] = {}
        for (name, _), samples in self.samples.items():
            found[name] = max(found.get(name, 0.0), *(resident_mb for _, resident_mb in samples))
        return found


def grown(samples: Mapping[tuple[str, int], list[tuple[float, float]]], lasted_s: float) -> list[Grown]:
    """Of each name the process that grew most, of those that were there in the second third and in the last."""
    found: dict[str, Grown] = {}
    for (name, _), each in samples.items():
        second = [resident_mb for at_s, resident_mb in each if lasted_s / 3 <= at_s < 2 * lasted_s / 3]
        last = [resident_mb for at_s, resident_mb in each if 2 * lasted_s / 3 <= at_s <= lasted_s]
        if min(len(second), len(last)) < FEWEST:
            continue
        one = Grown(name, statistics.median(second), statistics.median(last), len(second) + len(last))
        if name not in found or one.last_mb - one.second_mb > found[name].last_mb - found[name].second_mb:
            found[name] = one
    return [found[name] for name in sorted(found)]


def processes(endpoints: Endpoints) -> Iterator[tuple[str, int]]:
    """Name and pid: each environment by its function's name, the emulator, the simulated providers."""
    stack_url = f"AWS_ENDPOINT_URL={endpoints.aws_endpoint_url}".encode()
    function = f"AWS_LAMBDA_FUNCTION_NAME={STACK_NAME}-".encode()
    ports = {endpoints.aws_endpoint_url.rpartition(":")[2]: STORE, endpoints.simulators.rpartition(":")[2]: "providers"}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if (name := _served(folder, ports)) is not None:
                yield name, int(folder.name)
                continue
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # somebody else's, or gone
        if stack_url in variables:
            for each in variables:
                if each.startswith(function):
                    yield each.removeprefix(function).decode(), int(folder.name)


def _served(process: Path, ports: Mapping[str, str]) -> str | None:
    """What it is by the port that its command line names."""
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    modules = {"local.launcher": "--stack-port", "local.simulators": "--port"}
    for module, option in modules.items():
        if module in words and option in words:
            return ports.get(words[words.index(option) + 1])
    return None
