"""Who is measured: the provider itself, the gateway's functions, and every peer; all asked in the same way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from benchmarks import scenarios
from benchmarks.aws_stand_in import API_KEY, AwsStandIn
from benchmarks.event import proxy_event
from benchmarks.exchange import DirectClient, Timed
from benchmarks.function import Package, running
from benchmarks.machine import CpuClock, memory_mb
from benchmarks.peers.asking import answers, check
from benchmarks.peers.process import PeerProcess
from benchmarks.peers.provider import FIRST_TEXT
from benchmarks.peers.targets import DIRECT, OURS
from benchmarks.runtime_api import RuntimeApi
from benchmarks.scenarios import CHAT, EMBEDDINGS, Endpoint, Scenario

_SETTLES_S = 0.05
"""What a server may do after its answer; it is part of the request's cost."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Answers one after another, and the CPU for each of them, in milliseconds; None where it is not known."""

    answers: list[Timed]
    cpu_ms: float | None


@dataclass(frozen=True, slots=True)
class Start:
    """From the start of a process to its first answer, in milliseconds."""

    wall_ms: float
    cpu_ms: float


class Contender(Protocol):
    """`slice` raises Problem for an answer that is not right. `memory_mb`: resident, of each of its parts."""

    @property
    def name(self) -> str: ...

    def slice(self, scenario: Scenario, count: int) -> Slice: ...

    def memory_mb(self) -> dict[str, float]: ...


class Direct:
    """The provider itself, asked for what the gateway would ask it for."""

    def __init__(self, port: int, path: str = "/v1") -> None:
        self.name = DIRECT
        self._port, self._path = port, path

    def slice(self, scenario: Scenario, count: int) -> Slice:
        client = DirectClient(self._port, self._path + scenario.endpoint.path, mark=FIRST_TEXT)
        try:
            check(scenario, client.call(scenario.provider_body()))
            return Slice(answers(lambda: client.call(scenario.provider_body()), count), None)
        finally:
            client.close()

    def memory_mb(self) -> dict[str, float]:
        return {}


class Served:
    """A peer that runs."""

    def __init__(self, process: PeerProcess) -> None:
        self.name = process.peer.name
        self._process = process

    def slice(self, scenario: Scenario, count: int) -> Slice:
        body = self._process.body(scenario)
        with self._process.client(scenario) as client:
            check(scenario, client.call(body))
            time.sleep(_SETTLES_S)
            before_ms = self._process.cpu_ms()
            found = answers(lambda: client.call(body), count)
            time.sleep(_SETTLES_S)
            return Slice(found, (self._process.cpu_ms() - before_ms) / len(found))

    def memory_mb(self) -> dict[str, float]:
        return {self.name: self._process.memory_mb()}

    def stop(self) -> None:
        """For one that is left out: it takes nothing from the others any more."""
        self._process.stop()


@dataclass(frozen=True, slots=True)
class _Warm:
    pid: int
    api: RuntimeApi
    clock: CpuClock


class Functions:
    """The functions for chats and for embeddings, as they are deployed, at a Runtime API; AWS answers from memory."""

    def __init__(self, package: Package, aws: AwsStandIn, core: int) -> None:
        self.name = OURS
        self._package, self._aws, self._core = package, aws, core
        self._warm: dict[Endpoint, _Warm] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as opened:
            for endpoint in (CHAT, EMBEDDINGS):
                pid, api = opened.enter_context(self._function(endpoint))
                self._warm[endpoint] = _Warm(pid, api, CpuClock(pid))
            yield

    def slice(self, scenario: Scenario, count: int) -> Slice:
        warm, event = self._warm[scenario.endpoint], _event(scenario)
        check(scenario, warm.api.invoke(event, FIRST_TEXT))
        warm.api.await_poll()
        before_ms = warm.clock.read_ms()
        found = answers(lambda: warm.api.invoke(event, FIRST_TEXT), count)
        warm.api.await_poll()
        return Slice(found, (warm.clock.read_ms() - before_ms) / len(found))

    def memory_mb(self) -> dict[str, float]:
        """By function: a process each, where a peer has one for both."""
        return {endpoint.function: memory_mb(warm.pid)[0] for endpoint, warm in self._warm.items()}

    def start(self) -> Start:
        """A new process; the first event waits for it."""
        started_s = time.perf_counter()
        with self._function(CHAT) as (pid, api):
            check(scenarios.CHAT_1KB, api.invoke(_event(scenarios.CHAT_1KB), FIRST_TEXT))
            wall_ms = (time.perf_counter() - started_s) * 1000
            return Start(wall_ms, CpuClock(pid).read_ms())

    @contextmanager
    def _function(self, endpoint: Endpoint) -> Iterator[tuple[int, RuntimeApi]]:
        package = self._package.of(endpoint.function)
        with RuntimeApi() as api, running(package, self._aws.url, api.authority, self._core) as pid:
            yield pid, api


def start_of(process: PeerProcess) -> Start:
    """A new process of a peer. Raises Problem."""
    with process.running() as wall_ms:
        return Start(wall_ms, process.cpu_ms())


def _event(scenario: Scenario) -> bytes:
    return proxy_event(f"/v1{scenario.endpoint.path}", scenario.client_body(), API_KEY)
