"""Streams that do not reach their end: what they cost is known all the same, and nothing stays open."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.chat import ChatCall
from gateway.model.provider_errors import ProviderError
from gateway.pipeline.demand import prompt_tokens_at_most
from tests.asgi import Answer
from tests.fakes import MemoryCatalog
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import FIGURES, HELLO, STREAM, event

ASK = {**HELLO, "stream": True}
TEXT = event({"content": "x" * 40})
READ = prompt_tokens_at_most(msgspec.convert(ASK, ChatCall), FACTS)
"""A token for each byte of the prompt, as of the reply."""


@pytest.fixture
def gateway(gateway: Gateway) -> Gateway:
    """Of a model that cannot think unseen: tests/unit/test_unseen.py has the others."""
    facts = msgspec.structs.replace(FACTS, source="https://example.com", capabilities=("streaming", "tools"))
    gateway.world = replace(gateway.world, catalog=MemoryCatalog({"openai": {"gpt-4o": facts}}))
    return gateway


@pytest.mark.parametrize("ending", ["cut", "early", "stall"])
async def test_a_stream_that_breaks_off_is_paid_by_what_came(gateway: Gateway, ending: str) -> None:
    endings: dict[str, list[Any]] = {"cut": [ProviderError("cut")], "early": [], "stall": [asyncio.Event().wait]}
    gateway.answers(200, STREAM[0], TEXT, TEXT, *endings[ending])
    answer = await gateway.chat({**ASK, "timeouts": {"ttft_ms": 30, "total_ms": 60}})
    (record,) = gateway.records.written
    assert (record.event, record.usage_estimated) == ("request.failed", True)
    assert (record.input_tokens, record.output_tokens) == (READ, 80)
    assert record.cost_nano_usd == READ * 2_500 + 80 * 10_000
    assert answer.events[-1]["error"]["usage"]["completion_tokens"] == 80


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [(ProviderError("cut"), 502, "provider_error"), (asyncio.Event().wait, 504, "provider_timeout")],
)
async def test_a_stream_that_fails_before_its_first_content_is_refused(
    gateway: Gateway, ending: Any, status: int, code: str
) -> None:
    """Its head and its role are nothing that a client could use."""
    gateway.answers(200, STREAM[0], ending)
    answer = await gateway.chat({**ASK, "timeouts": {"ttft_ms": 30}})
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


async def test_figures_that_came_before_the_break_are_kept(gateway: Gateway) -> None:
    early = b"data: " + json.dumps(FIGURES).encode() + b"\n\n"
    gateway.answers(200, STREAM[0], early, TEXT, TEXT, ProviderError("cut"))
    await gateway.chat(ASK)
    assert gateway.records.written[0].input_tokens == 9
    assert gateway.records.written[0].output_tokens == 80


async def test_a_refused_stream_costs_nothing(gateway: Gateway) -> None:
    gateway.answers(500, b"{}")
    await gateway.chat(ASK)
    assert gateway.records.written[0].cost_nano_usd == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cancelled_request_is_not_recorded_as_complete(gateway: Gateway, stream: bool) -> None:
    waiting = asyncio.Event()

    async def wait_for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    gateway.answers(200, *([STREAM[0], TEXT] if stream else []), wait_for_ever)
    call = asyncio.create_task(gateway.chat({**HELLO, "stream": stream}))
    async with asyncio.timeout(5):
        await waiting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    (record,) = gateway.records.written
    assert (record.event, record.error) == ("request.failed", "provider_timeout")
    assert gateway.outbound.still_open == 0
    if stream:
        assert record.output_tokens == 40


async def test_a_client_that_is_gone_leaves_no_connection_open(gateway: Gateway) -> None:
    gateway.answers(200, *STREAM)

    class Gone(Answer):
        @property
        def parts(self) -> list[bytes]:
            raise OSError("gone")

        @parts.setter
        def parts(self, _: list[bytes]) -> None: ...

    with pytest.raises(OSError, match="gone"):
        await gateway.chat(ASK, answer=Gone())
    assert gateway.outbound.still_open == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_everything_generated_counts_where_a_provider_gives_no_figures(gateway: Gateway, stream: bool) -> None:
    """Letters of two bytes, reasoning, and the arguments of a tool call: 80 + 40 + 40 bytes."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "y" * 40}}
    said = {"content": "я" * 40, "reasoning_content": "z" * 40, "tool_calls": [call]}
    if stream:
        gateway.answers(200, event(said), event({}, "tool_calls"), b"data: [DONE]\n\n")
        usage = (await gateway.chat(ASK)).events[-2]["usage"]
    else:
        choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": "tool_calls"}
        gateway.answers(200, json.dumps({"id": "c", "choices": [choice]}).encode())
        usage = (await gateway.chat(HELLO)).json["usage"]
    assert (usage["estimated"], usage["completion_tokens"]) == (True, 40)


async def test_audio_counts_as_the_first_content(gateway: Gateway) -> None:
    audio = event({"audio": {"id": "a", "data": "AAAA"}})
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, later.set)
    gateway.answers(200, STREAM[0], audio, later.wait, *STREAM[3:])
    answer = await gateway.chat({**ASK, "timeouts": {"ttft_ms": 50, "total_ms": 5_000}})
    assert answer.events[-1] == "[DONE]"


async def test_a_credential_that_does_not_come_is_inside_the_limit(gateway: Gateway) -> None:
    credentials: Any = gateway.world.credentials
    credentials.find = lambda _provider: asyncio.Event().wait()
    async with asyncio.timeout(5):
        answer = await gateway.chat({**HELLO, "timeouts": {"total_ms": 30}})
    assert (answer.status, answer.json["error"]["phase"]) == (504, "total")


async def test_a_stream_that_broke_off_keeps_its_idempotency_key_if_it_was_paid(gateway: Gateway) -> None:
    keyed = {"idempotency-key": "k-1"}
    gateway.answers(500, b"{}")
    assert (await gateway.chat(ASK, headers=keyed)).status == 502
    gateway.answers(200, STREAM[0], TEXT, ProviderError("cut"))
    broken = await gateway.chat(ASK, headers=keyed)
    assert broken.status == 200
    gateway.answers(200, *STREAM)
    again = await gateway.chat(ASK, headers=keyed)
    assert (again.status, again.json["error"]["code"]) == (409, "idempotency_conflict")
    assert again.json["error"]["first_request_id"] == broken.headers["x-gateway-request-id"]
    assert (await gateway.chat(ASK, headers={"idempotency-key": "k-2"})).events[-1] == "[DONE]"
