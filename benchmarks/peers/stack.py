"""The same requests through the whole local stack, in which API Gateway, Lambda and DynamoDB are emulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks import scenarios
from benchmarks.exchange import DirectClient
from benchmarks.peers.asking import FEWEST, answers, check
from benchmarks.peers.contenders import Direct, Slice
from benchmarks.peers.provider import FIRST_TEXT
from benchmarks.peers.record import Rounds, SliceRecord
from benchmarks.peers.targets import DIRECT, STACK
from benchmarks.scenarios import Scenario
from local.console import Progress
from local.endpoints import Endpoints
from local.places import LOCAL
from local.testing import running_stack

SCENARIOS = (scenarios.CHAT_1KB, scenarios.CHAT_32KB, scenarios.FIRST_BYTE, scenarios.FLOATS)


class Stack:
    """A local stack that runs, by its front port."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._base = urlsplit(endpoints.http)
        self._headers = {"Authorization": f"Bearer {endpoints.api_key}"}

    def slice(self, scenario: Scenario, count: int) -> Slice:
        """Raises Problem."""
        with self._client(scenario) as client:
            check(scenario, client.call(scenario.client_body()))
            return Slice(answers(lambda: client.call(scenario.client_body()), count), None)

    @contextmanager
    def _client(self, scenario: Scenario) -> Iterator[DirectClient]:
        path = self._base.path.rstrip("/") + scenario.endpoint.path
        client = DirectClient(self._base.port or 80, path, self._headers, FIRST_TEXT)
        try:
            yield client
        finally:
            client.close()


def stack_rounds(port: int, rounds: int, share: float, progress: Progress) -> Rounds:
    """A stack of its own, whose OpenAI is the provider at `port`; its state is kept. Raises Problem."""
    ours = {"OPENAI_API_KEY": "sim-openai", "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
    found: dict[str, dict[str, list[SliceRecord]]] = {scenario.name: {DIRECT: [], STACK: []} for scenario in SCENARIOS}
    with running_stack(LOCAL / "bench" / "peers" / "state", providers=ours) as endpoints:
        progress.say("the local stack is up")
        direct, stack = Direct(port), Stack(endpoints)
        for number in range(rounds + 1):
            for scenario in SCENARIOS:
                count = max(FEWEST, int(scenario.slice_requests * share))
                slices = {DIRECT: direct.slice(scenario, count), STACK: stack.slice(scenario, count)}
                if number:
                    for name, each in slices.items():
                        found[scenario.name][name].append(SliceRecord.of(each.answers, None))
        progress.say(f"{rounds} rounds through the local stack")
    return {scenario: {name: tuple(slices) for name, slices in by.items()} for scenario, by in found.items()}
