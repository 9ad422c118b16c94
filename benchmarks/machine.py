"""What the machine tells of a process, and which cores a process may use. Linux."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IS_LINUX = sys.platform == "linux"
LOAD_AT_END = "load_at_end"
LOOKS_FOR_S, _LOOKS_EVERY_S = 10.0, 0.05
_REFERENCE_SIZE = 5_000
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for what is measured, another for what measures it; the same one where there is no second."""

    measured: int
    measuring: int

    @classmethod
    def choose(cls) -> Cores:
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[-1], usable[0])


@contextmanager
def pinned_to(core: int) -> Iterator[None]:
    """This thread, and every process and thread started in the block, runs on `core` only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class CpuClock:
    """User and system time of another process, all its threads, in nanosecond steps (/proc has 10 ms steps).

    Source: https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html
    """

    def __init__(self, pid: int) -> None:
        clock = ctypes.c_int()
        if error := _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
            raise OSError(error, os.strerror(error))
        self._clock = clock.value

    def read_ms(self) -> float:
        return time.clock_gettime_ns(self._clock) / 1e6


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory now, and at its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return int(fields["VmRSS"][0]) / 1024, int(fields["VmHWM"][0]) / 1024


def reference_ms() -> float:
    """CPU of a fixed piece of Python work on this core: how fast the machine is at this moment."""
    before_s = time.process_time()
    document = {str(number): [number] * 10 for number in range(_REFERENCE_SIZE)}
    if json.loads(json.dumps(document)) != document:
        raise AssertionError("JSON does not round trip")
    return (time.process_time() - before_s) * 1000


def description() -> dict[str, Any]:
    """Where a run takes place, and the load (processes that run or want to) of the minute before it."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load_1min": round(os.getloadavg()[0], 2),
        "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def others_at_work(seconds: float = LOOKS_FOR_S) -> float:
    """How many processes ran or wanted to, this one left out, on average of the time that it takes to look. Linux.

    The load of a minute, asked at the end of a run, would be the run's own. Source: proc_loadavg(5), fourth field.
    """
    seen: list[int] = []
    end_s = time.monotonic() + seconds
    while not seen or time.monotonic() < end_s:
        running = Path("/proc/loadavg").read_text().split()[3].partition("/")[0]
        seen.append(max(0, int(running) - 1))
        time.sleep(_LOOKS_EVERY_S)
    return round(sum(seen) / len(seen), 2)


def loads(found: dict[str, Any]) -> dict[str, float]:
    """What is known of other work, by when it was."""
    named = {"at the start": found["load_1min"], "at the end": found.get(LOAD_AT_END)}
    return {when: load for when, load in named.items() if load is not None}


def sentence(found: dict[str, Any]) -> str:
    """`description` for a reader, with a warning where others were working on the machine."""
    known = loads(found)
    told = ", ".join(f"{load} {when}" for when, load in known.items())
    words = f"On {found['cpu']}, {found['cores']} cores, Python {found['python']}, load {told}."
    if max(known.values()) > found["cores"] / 2:
        words += " Other work was running: neither figures nor ratios are to be relied on."
    elif max(known.values()) > found["cores"] / 4:
        words += " A little other work was running: the clock's figures may be too high."
    return words


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
