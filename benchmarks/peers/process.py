"""A peer's process with all its children: started on one core, asked until it answers, measured, ended."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import scenarios
from benchmarks.exchange import DirectClient
from benchmarks.machine import CpuClock, memory_mb, pinned_to
from benchmarks.peers.asking import check
from benchmarks.peers.install import Installed
from benchmarks.peers.provider import FIRST_TEXT
from benchmarks.peers.targets import HERE, KEY, Peer
from benchmarks.scenarios import Scenario
from local.console import Problem, log_tail

START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 10.0
_ASK_AGAIN_S = 0.003
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
"""Of the environment: no proxy, no setting, and above all no key of a real provider reaches a peer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer runs: `provider` its base URL (.../v1), `folder` for its log and files, the `core` it has."""

    provider: str
    folder: Path
    core: int


class PeerProcess:
    """Methods raise Problem when the peer does not do its part."""

    def __init__(self, peer: Peer, installed: Installed, place: Place) -> None:
        self.peer, self._place = peer, place
        self._folder = place.folder / peer.name
        self._words = {
            "home": str(installed.home),
            "here": str(HERE),
            "provider": place.provider,
            "key": KEY,
            "out": str(self._folder),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._started_s = 0.0

    @contextmanager
    def running(self) -> Iterator[float]:
        """From its start to its first right answer, in milliseconds; ended with the block."""
        try:
            self._start()
            yield self._first_answer_ms()
        finally:
            self.stop()

    @property
    def pids(self) -> list[int]:
        """Of the process and of all its descendants."""
        assert self._process is not None  # noqa: S101 - only asked while it runs
        return _tree(self._process.pid)

    def cpu_ms(self) -> float:
        return sum(clock_ms(pid) for pid in self.pids)

    def memory_mb(self) -> float:
        return sum(memory_mb(pid)[0] for pid in self.pids)

    @contextmanager
    def client(self, scenario: Scenario) -> Iterator[DirectClient]:
        base = urlsplit(self._base_url())
        headers = {name: self._filled(value) for name, value in self.peer.headers.items()}
        client = DirectClient(base.port or 80, base.path.rstrip("/") + scenario.endpoint.path, headers, FIRST_TEXT)
        try:
            yield client
        finally:
            client.close()

    def body(self, scenario: Scenario) -> bytes:
        return scenario.body_for(self.peer.model(scenario.endpoint))

    def _start(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._port = _free_port()
        inherited = {name: value for name, value in os.environ.items() if name in _KEPT}
        variables = {name: self._filled(value) for name, value in self.peer.variables.items()}
        with self._log.open("wb") as log, pinned_to(self._place.core):
            self._started_s = time.perf_counter()
            self._process = subprocess.Popen(  # noqa: S603 - the command is in targets.py
                [self._filled(word) for word in self.peer.command],
                cwd=self._folder,
                env={**inherited, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _first_answer_ms(self) -> float:
        end_s = self._started_s + START_TIMEOUT_S
        last: Exception | None = None
        while time.perf_counter() < end_s and self._process is not None and self._process.poll() is None:
            try:
                with self.client(scenarios.CHAT_1KB) as client:
                    check(scenarios.CHAT_1KB, client.call(self.body(scenarios.CHAT_1KB)))
                return (time.perf_counter() - self._started_s) * 1000
            except (OSError, Problem) as error:
                last = error
                time.sleep(_ASK_AGAIN_S)
        raise Problem(f"{self.peer.title} did not answer: {last}\n{log_tail(self._log)}")

    def _base_url(self) -> str:
        told = self._folder / "url"
        return f"{told.read_text().strip()}" if told.exists() else f"http://127.0.0.1:{self._port}/v1"

    def stop(self) -> None:
        """Also of one that does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT_S)
                return

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _filled(self, text: str) -> str:
        return text.format(port=self._port, **self._words)


def clock_ms(pid: int) -> float:
    """0 for a process that has just ended."""
    try:
        return CpuClock(pid).read_ms()
    except OSError:
        return 0.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(folder.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found
