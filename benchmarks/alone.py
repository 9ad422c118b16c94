"""Part A: the gateway's own code, in the real exec wrapper, without the emulator."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import imports, scenarios
from benchmarks.aims import POLLERS
from benchmarks.alone_report import AT_ONCE, Measured, report_of
from benchmarks.aws_stand_in import API_KEY, AwsStandIn
from benchmarks.event import proxy_event
from benchmarks.exchange import DirectClient, Timed
from benchmarks.function import Package, running, simulators
from benchmarks.machine import Cores, CpuClock, memory_mb, pinned_to, reference_ms
from benchmarks.pollers import Pollers
from benchmarks.report import Report
from benchmarks.runtime_api import RuntimeApi
from benchmarks.scenarios import CHAT, EMBEDDINGS, Endpoint, Scenario
from local.console import Problem, Progress

PREFIX = "/openai/v1"
WARM_UP_REQUESTS = 200
REQUESTS_AT_ONCE = 1_000
PATIENT = {"GATEWAY_ADMISSION_TIMEOUT_MS": "5000"}
"""What answers for AWS shares a core with the client: it may take longer than AWS does when all ask at once."""
_DONE = b"data: [DONE]"
_USAGE = b'"usage":{'


@dataclass(slots=True)
class Warm:
    """A running function, and the way around it: the provider's own endpoint."""

    pid: int
    api: RuntimeApi
    clock: CpuClock
    direct: DirectClient
    served: int = 0


class Alone:
    """Warm function processes and direct connections, to be measured in turn."""

    def __init__(self, package: Package, cores: Cores, simulators_port: int, aws: AwsStandIn) -> None:
        self._package, self._cores, self._aws, self._port = package, cores, aws, simulators_port
        self._warm: dict[Endpoint, Warm] = {}
        self.measured = Measured()

    def run(self, rounds: int, share: float, progress: Progress) -> None:
        """`share` of the full number of requests in each slice."""
        with ExitStack() as opened:
            self._warm = {endpoint: opened.enter_context(self._started(endpoint)) for endpoint in (CHAT, EMBEDDINGS)}
            for scenario in scenarios.ALL:
                self._warm_up(scenario, share)
            for number in range(rounds):
                for scenario in scenarios.ALL:
                    self._round(scenario, number, share)
                self._start_cold()
                self._import()
                asyncio.run(self._at_once(max(4 * POLLERS, int(share * REQUESTS_AT_ONCE))))
                progress.say(f"round {number + 1} of {rounds}")
            for endpoint, warm in self._warm.items():
                self.measured.memory_mb[endpoint.function, warm.served] = memory_mb(warm.pid)

    @contextmanager
    def _started(self, endpoint: Endpoint) -> Iterator[Warm]:
        direct = DirectClient(self._port, PREFIX + endpoint.path, mark=scenarios.FIRST_TEXT)
        with self._function(endpoint) as (pid, api):
            yield Warm(pid, api, CpuClock(pid), direct)
        direct.close()

    @contextmanager
    def _function(self, endpoint: Endpoint) -> Iterator[tuple[int, RuntimeApi]]:
        package, core = self._package.of(endpoint.function), self._cores.measured
        with RuntimeApi() as api, running(package, self._aws.url, api.authority, core) as pid:
            yield pid, api

    def _warm_up(self, scenario: Scenario, share: float) -> None:
        """Also holds one answer of each side against what it must be."""
        warm = self._warm[scenario.endpoint]
        for _ in range(max(2, int(share * WARM_UP_REQUESTS / (1 + scenario.chunks)))):
            _check(scenario, warm.direct.call(scenario.provider_body()))
            _check(scenario, _invoke(scenario, warm))

    def _round(self, scenario: Scenario, number: int, share: float) -> None:
        count = max(2, int(scenario.slice_requests * share))
        sides: list[Callable[[], None]] = [
            lambda: self._direct_slice(scenario, count),
            lambda: self._gateway_slice(scenario, count),
        ]
        for side in sides if number % 2 else reversed(sides):
            side()

    def _direct_slice(self, scenario: Scenario, count: int) -> None:
        body, direct = scenario.provider_body(), self._warm[scenario.endpoint].direct
        self.measured.note(scenario, "direct", [direct.call(body) for _ in range(count)])

    def _gateway_slice(self, scenario: Scenario, count: int) -> None:
        warm = self._warm[scenario.endpoint]
        warm.api.await_poll()
        before_ms = warm.clock.read_ms()
        self.measured.note(scenario, "gateway", [_invoke(scenario, warm) for _ in range(count)])
        warm.api.await_poll()
        self.measured.cpu_ms[scenario.name].append((warm.clock.read_ms() - before_ms) / count)

    async def _at_once(self, requests: int) -> None:
        """Chats of 1 KB, as many at once as there are pollers."""
        package, core = self._package.of(CHAT.function), self._cores.measured
        pollers = Pollers(POLLERS, _event(scenarios.CHAT_1KB))
        more = {"AWS_LAMBDA_MAX_CONCURRENCY": str(POLLERS), **PATIENT}
        with running(package, self._aws.url, await pollers.listen(), core, more) as pid:
            await pollers.serve(2 * POLLERS)
            clock = CpuClock(pid)
            before_ms = clock.read_ms()
            took_s = await pollers.serve(requests)
            self.measured.cpu_ms[AT_ONCE].append((clock.read_ms() - before_ms) / requests)
        self.measured.answered_per_s.append(requests / took_s)
        await pollers.aclose()

    def _start_cold(self) -> None:
        """From the start of the exec wrapper to the last byte of the first answer, whose event waits already."""
        event = _event(scenarios.CHAT_1KB)
        started_s = time.perf_counter()
        with self._function(CHAT) as (pid, api):
            api.await_poll()
            ready_ms = (time.perf_counter() - started_s) * 1000
            first = api.invoke(event)
            whole_ms = (time.perf_counter() - started_s) * 1000
            cpu_ms = CpuClock(pid).read_ms()
        values = {"ready": ready_ms, "invocation": first.last_ms, "answer": whole_ms, "cpu": cpu_ms}
        for name, value in values.items():
            self.measured.starts[name].append(value)

    def _import(self) -> None:
        with pinned_to(self._cores.measured):
            self.measured.reference_ms.append(reference_ms())
            found = imports.measure(self._package, self._aws.url)
        for name, value in (
            ("import cpu", found.cpu_ms),
            ("import wall", found.wall_ms),
            ("process cpu", found.process_cpu_ms),
        ):
            self.measured.starts[name].append(value)


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
            alone.measured.package_mb = package.size_mb()
    return report_of(alone.measured, modules)


def _invoke(scenario: Scenario, warm: Warm) -> Timed:
    warm.served += 1
    return warm.api.invoke(_event(scenario), scenarios.FIRST_TEXT)


def _event(scenario: Scenario) -> bytes:
    return proxy_event(f"/v1{scenario.endpoint.path}", scenario.client_body(), API_KEY)


def _check(scenario: Scenario, answer: Timed) -> None:
    wanted = _DONE if scenario.chunks else _USAGE
    if wanted not in answer.raw.replace(b": {", b":{") or answer.raw.count(b"data: {") < scenario.chunks:
        raise Problem(f"Not a whole answer to '{scenario.name}': ...{answer.raw[-500:]!r}")
