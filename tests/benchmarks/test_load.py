"""The open loop of part B, against the simulators in this process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks import scenarios
from benchmarks.exchange import DirectClient
from benchmarks.through_stack import RATE_PER_S, STREAMED, WHOLE, Load, Target
from local.simulators.app import App
from local.simulators.http1 import listen


@pytest.fixture
async def simulator() -> AsyncIterator[str]:
    server, connections = await listen(App(), 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/openai/v1"
        for connection in tuple(connections):
            connection.close(reset=True)


async def test_every_request_leaves_and_is_answered(simulator: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        load = Load(client)
        answers = await load.slice(Target(simulator, "sim-openai", is_gateway=False), 4 / RATE_PER_S)
    assert sorted(answer.scenario.name for answer in answers) == [STREAMED.name] * 2 + [WHOLE.name] * 2
    assert all(0 < answer.first_ms <= answer.last_ms for answer in answers)
    assert (load.failed, load.failures) == (0, set())


async def test_the_first_text_of_a_stream_is_in_its_first_piece_and_in_nothing_before(simulator: str) -> None:
    port, path = urlsplit(simulator).port, f"{urlsplit(simulator).path}/chat/completions"
    assert port is not None
    client = DirectClient(port, path, mark=scenarios.FIRST_TEXT)
    answer = await asyncio.to_thread(client.call, scenarios.FIRST_BYTE.provider_body())
    client.close()
    pieces = [event for event in answer.raw.split(b"data: ")[1:] if re.search(rb'"content": ?"[^"]', event)]
    assert len(pieces) == scenarios.FIRST_BYTE.chunks
    assert scenarios.FIRST_TEXT in pieces[0]
    assert answer.raw.find(scenarios.FIRST_TEXT) > answer.raw.find(pieces[0])
    assert 0 < answer.first_ms < answer.last_ms


async def test_a_refusal_and_a_reply_without_report_are_failures(simulator: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        load = Load(client)
        assert await load.send(Target(simulator, "", is_gateway=False), WHOLE) is None
        assert await load.send(Target(simulator, "sim-openai", is_gateway=True), WHOLE) is None
    assert load.failed == 2
    assert any("no report" in why for why in load.failures)
