"""Part B: the whole local stack, warm, under a steady load of whole and streamed chats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from benchmarks import aims, scenarios
from benchmarks.figures import Row, Table, quantile
from benchmarks.report import Report
from benchmarks.scenarios import Scenario, prompt_of
from local.aws import Aws
from local.console import Problem, Progress
from local.deploy import STACK_NAME
from local.endpoints import Endpoints
from local.places import LOCAL
from local.testing import running_stack

RATE_PER_S = 20
GATEWAY_S, DIRECT_S = 6.0, 2.0
"""Length of a slice: five rounds are half a minute through the gateway."""
MAX_OPEN = 64
WARM_UP_AT_ONCE, WARM_UP_TIMES = 12, 4
TIMEOUT_S = 30.0
PERCENTILES = (50, 95, 99)
WHOLE = scenarios.whole("whole chat", prompt_of(1_000))
STREAMED = scenarios.streamed("streamed chat", f"[[chunks=20 chunk_delay_s=0.005]] {prompt_of(1_000)}", 20)
_PROVIDER_PATH = "/openai/v1"
_EVENT = "data: "


@dataclass(frozen=True, slots=True)
class Answer:
    """One answered request, milliseconds seen by the client; `overhead_ms` is what the gateway says of itself."""

    scenario: Scenario
    first_ms: float
    last_ms: float
    overhead_ms: float | None


Slices = dict[str, list[list[Answer]]]
"""By side, "direct" or "gateway": the answers of each round."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a slice goes: the gateway, or the simulator itself."""

    base_url: str
    api_key: str
    is_gateway: bool

    def body(self, scenario: Scenario) -> bytes:
        return scenario.client_body() if self.is_gateway else scenario.provider_body()


@dataclass(slots=True)
class Load:
    """An open loop: requests leave on time, whatever became of the ones before; `failed` counts those that were not
    answered wholly, or not sent because too many were open. `latest_s`: by how much one left late at most.
    """

    client: httpx.AsyncClient
    failed: int = 0
    failures: set[str] = field(default_factory=set)
    latest_s: float = 0.0

    async def slice(self, target: Target, seconds: float) -> list[Answer]:
        open_tasks: set[asyncio.Task[Answer | None]] = set()
        answers: list[Answer] = []

        def ended(task: asyncio.Task[Answer | None]) -> None:
            open_tasks.discard(task)
            if (answer := task.result()) is not None:
                answers.append(answer)

        started_s = time.perf_counter()
        for number in range(int(seconds * RATE_PER_S)):
            due_s = started_s + number / RATE_PER_S
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            self.latest_s = max(self.latest_s, time.perf_counter() - due_s)
            if len(open_tasks) >= MAX_OPEN:
                self._fail("not sent: too many open requests")
                continue
            task = asyncio.create_task(self.send(target, STREAMED if number % 2 else WHOLE))
            open_tasks.add(task)
            task.add_done_callback(ended)
        while open_tasks:
            await asyncio.wait(open_tasks)
        return answers

    async def warm_up(self, target: Target) -> None:
        """Enough at once that the stack starts more environments than the load will need at a time."""
        for _ in range(WARM_UP_TIMES):
            await asyncio.gather(*(self.send(target, STREAMED) for _ in range(WARM_UP_AT_ONCE)))

    async def send(self, target: Target, scenario: Scenario) -> Answer | None:
        """None when it failed."""
        headers = {"authorization": f"Bearer {target.api_key}", "content-type": "application/json"}
        url, body = f"{target.base_url}/chat/completions", target.body(scenario)
        started_s = time.perf_counter()
        try:
            async with self.client.stream("POST", url, headers=headers, content=body) as response:
                if response.status_code != 200:
                    self._fail(f"status {response.status_code}: {(await response.aread())[:300]!r}")
                    return None
                first_s, last = await _read(response, scenario)
        except httpx.HTTPError as error:
            self._fail(f"{type(error).__name__}: {error}")
            return None
        last_s = time.perf_counter()
        overhead_ms = (last.get("gateway") or {}).get("overhead_ms")
        if target.is_gateway and overhead_ms is None:
            self._fail(f"no report at the end of a {scenario.name}: {last}")
            return None
        return Answer(scenario, (first_s - started_s) * 1000, (last_s - started_s) * 1000, overhead_ms)

    def _fail(self, why: str) -> None:
        self.failed += 1
        self.failures.add(why)


async def _read(response: httpx.Response, scenario: Scenario) -> tuple[float, dict[str, Any]]:
    """When the first event (or the whole body) was there, and the document that the gateway's report is in."""
    if not scenario.chunks:
        body = await response.aread()
        return time.perf_counter(), msgspec.json.decode(body)
    first_s, last = 0.0, "{}"
    async for line in _events(response):
        first_s = first_s or time.perf_counter()
        last = line if line != "[DONE]" else last
    return first_s, msgspec.json.decode(last)


async def _events(response: httpx.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if line.startswith(_EVENT):
            yield line.removeprefix(_EVENT)


@contextmanager
def stack(progress: Progress) -> Iterator[Endpoints]:
    """The stack that `make run` has up, if its providers are simulated; else one of our own, with its state kept in
    .local/bench, so that the next run starts sooner. Raises Problem.
    """
    found = LOCAL / "endpoints.json"
    if found.exists() and _is_up(endpoints := Endpoints.read(found)):
        progress.say(f"using the stack that runs at {endpoints.http}")
        yield endpoints
        return
    with own_stack(progress) as endpoints:
        yield endpoints


@contextmanager
def own_stack(progress: Progress) -> Iterator[Endpoints]:
    """One that nobody else asks. Raises Problem."""
    with ExitStack() as opened:
        with progress.step("starting a local stack of our own"):
            endpoints = opened.enter_context(running_stack(LOCAL / "bench" / "state"))
        yield endpoints


def _is_up(endpoints: Endpoints) -> bool:
    """Whether it answers, and would send us to the simulator: no load ever goes to a real provider."""
    try:
        models = httpx.get(f"{endpoints.http}/models", headers={"authorization": f"Bearer {endpoints.api_key}"})
        secrets = Aws(endpoints.aws_endpoint_url).client("secretsmanager")
        secret = secrets.get_secret_value(SecretId=f"{STACK_NAME}/providers/openai")["SecretString"]
    except (httpx.HTTPError, BotoCoreError, ClientError, ValueError):
        return False
    base_url = msgspec.json.decode(secret).get("base_url")
    return (
        models.status_code == 200 and bool(endpoints.simulators) and base_url == endpoints.simulators + _PROVIDER_PATH
    )


def measure(rounds: int, share: float, progress: Progress) -> Report:
    """Raises Problem."""
    with stack(progress) as endpoints:
        return asyncio.run(_measure(endpoints, rounds, share, progress))


async def _measure(endpoints: Endpoints, rounds: int, share: float, progress: Progress) -> Report:
    gateway = Target(endpoints.http, endpoints.api_key, is_gateway=True)
    direct = Target(endpoints.simulators + _PROVIDER_PATH, "sim-openai", is_gateway=False)
    slices: Slices = {"direct": [], "gateway": []}
    limits = httpx.Limits(max_connections=MAX_OPEN, max_keepalive_connections=MAX_OPEN, keepalive_expiry=TIMEOUT_S)
    async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
        load = Load(client)
        for target in (direct, gateway):
            await load.warm_up(target)
        for number in range(rounds):
            slices["direct"].append(await load.slice(direct, DIRECT_S * share))
            slices["gateway"].append(await load.slice(gateway, GATEWAY_S * share))
            progress.say(f"round {number + 1} of {rounds}")
    if load.failures:
        progress.say(f"{load.failed} requests failed: {'; '.join(sorted(load.failures))}")
    if not all(slices["gateway"]):
        raise Problem("No request through the stack was answered.")
    return _report(slices, load)


def _report(slices: Slices, load: Load) -> Report:
    overheads = [
        [each.overhead_ms for each in answers if each.overhead_ms is not None] for answers in slices["gateway"]
    ]
    every = [value for values in overheads for value in values]
    verdicts = [aims.OVERHEAD_P99.judged(quantile(every, 99)), aims.FAILED_REQUESTS.judged(float(load.failed))]
    return Report([_seen_by_client(slices), _said_by_gateway(overheads, load)], verdicts)


def _said_by_gateway(overheads: list[list[float]], load: Load) -> Table:
    rows = [
        Row.single(f"overhead_ms p{percent}", "ms", [quantile(values, percent) for values in overheads])
        for percent in PERCENTILES
    ]
    rows.append(Row.single("overhead_ms, worst", "ms", [max(values) for values in overheads]))
    rows.append(Row.single("answers", "", [float(sum(map(len, overheads)))]))
    rows.append(Row.single("latest departure of a request", "ms", [load.latest_s * 1000]))
    title = f"Through the whole local stack, warm, {RATE_PER_S} requests/s: what the gateway says"
    note = "From a request's arrival in the function to its report, less the wait for the provider; DynamoDB included."
    return Table(title, note, rows)


def _seen_by_client(slices: Slices) -> Table:
    def rounds(side: str, scenario: Scenario, percent: int, *, first: bool) -> list[float]:
        kept = [[each for each in answers if each.scenario is scenario] for answers in slices[side]]
        return [quantile([each.first_ms if first else each.last_ms for each in answers], percent) for answers in kept]

    rows = [
        Row.compared(
            f"{what}, p{percent}",
            "ms",
            *(rounds(side, scenario, percent, first=first) for side in ("direct", "gateway")),
        )
        for what, scenario, first in ((WHOLE.name, WHOLE, False), ("first byte of a stream", STREAMED, True))
        for percent in PERCENTILES
    ]
    note = "The emulator (front port, API Gateway, Lambda, DynamoDB) runs on the same cores; AWS takes its own time."
    return Table(f"Through the whole local stack, warm, {RATE_PER_S} requests/s: what a client sees", note, rows)
