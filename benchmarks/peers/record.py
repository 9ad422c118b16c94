"""The raw data of a run: what every table, the page and README's table are made of, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from benchmarks.exchange import Timed
from benchmarks.figures import quantile


class Quantiles(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> Self:
        return cls(*(round(quantile(values_ms, percent), 4) for percent in (50, 95, 99)))


class SliceRecord(msgspec.Struct, frozen=True):
    """One slice: to the first text of a stream (or the last byte) and to the last byte; CPU for each request."""

    requests: int
    first_ms: Quantiles
    last_ms: Quantiles
    cpu_ms: float | None

    @classmethod
    def of(cls, answers: Sequence[Timed], cpu_ms: float | None) -> Self:
        first, last = ([each.first_ms for each in answers], [each.last_ms for each in answers])
        cpu = None if cpu_ms is None else round(cpu_ms, 4)
        return cls(len(answers), Quantiles.of(first), Quantiles.of(last), cpu)


class StartRecord(msgspec.Struct, frozen=True):
    """From the start of a new process to its first answer."""

    wall_ms: float
    cpu_ms: float


class Part(msgspec.Struct, frozen=True):
    """A process of its own for some of the requests: its resident memory after those that it `served`."""

    name: str
    memory_mb: float
    served: int


class Subject(msgspec.Struct, frozen=True):
    """Who was measured: `does` with every request; its resident memory after `served` requests, and its files.

    `parts`: what the memory is the sum of, where one process does not serve everything.
    """

    name: str
    title: str
    governs: str
    does: str
    version: str
    size_mb: float | None = None
    memory_mb: float | None = None
    served: int = 0
    starts: tuple[StartRecord, ...] = ()
    parts: tuple[Part, ...] = ()


Rounds = dict[str, dict[str, tuple[SliceRecord, ...]]]
"""By the name of the scenario and of who was asked: a slice of each round."""


class Run(msgspec.Struct, frozen=True):
    """`stack`: the same through the local stack, beside a direct call of its own. `left_out`: who, and why."""

    machine: dict[str, Any]
    options: dict[str, Any]
    took_s: float
    subjects: tuple[Subject, ...]
    left_out: dict[str, str]
    rounds: Rounds
    stack: Rounds

    @classmethod
    def read(cls, path: Path) -> Self:
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    def subject(self, name: str) -> Subject | None:
        return next((subject for subject in self.subjects if subject.name == name), None)
