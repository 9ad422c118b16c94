"""Answers of which nobody knows what they cost: of a chat that timed out, was cut off or came to nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts
from gateway.model.provider_errors import ProviderError
from gateway.model.record import UsageRecord
from tests.fakes import ListEvents, MemoryCatalog, principal
from tests.unit.conftest import FACTS, TENANT, Gateway
from tests.unit.test_chat_function import FINAL, HELLO, STREAM, event

ASK = {**HELLO, "max_tokens": 100}
PROMPT = 2 * 2_500
"""Nano-USD of the prompt, a quarter token for each byte."""
TEXT = event({"content": "x" * 40})
SAID = PROMPT + 10 * 10_000
"""By the same measure, of the prompt and of what came."""
OVERLOADED = b'data: {"error": {"message": "busy", "code": "server_error"}}\n\n'
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def knowing(gateway: Gateway, *capabilities: str) -> None:
    """What the model can do is known."""
    facts: ModelFacts = msgspec.structs.replace(
        FACTS, source="https://example.com", capabilities=("streaming", *capabilities), input=("text", "image")
    )
    gateway.world = replace(gateway.world, catalog=MemoryCatalog({"openai": {"gpt-4o": facts}}))


async def charged(gateway: Gateway, body: dict[str, Any]) -> tuple[int, int]:
    """Nano-USD that are recorded and settled, and those that were held."""
    held: list[int] = []
    reserve = gateway.world.ledger.reserve

    async def noting(account: Any, name: str, hold: Any) -> Any:
        held.append(hold.cost_nano_usd)
        return await reserve(account, name, hold)

    gateway.world.ledger.reserve = noting  # type: ignore[method-assign]
    await gateway.chat(body)
    assert isinstance(gateway.world.events, ListEvents)
    [record] = [one for one in gateway.world.events.told if isinstance(one, UsageRecord)]
    reading = await gateway.world.ledger.read("T#acme#0")
    assert (reading.holds, reading.numbers["s2026-09"]) == ({}, record.cost_nano_usd)
    assert not record.cost_nano_usd or (record.usage is not None and record.usage.estimated)
    return record.cost_nano_usd or 0, held[0]


def silence() -> Any:
    return asyncio.Event().wait


UNSEEN: dict[str, list[Any]] = {
    "silent": [silence()],
    "cut": [ProviderError("The connection to the provider failed (ClientPayloadError).")],
    "nonsense": [b"<html>"],
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", UNSEEN)
async def test_what_nobody_saw_costs_all_that_was_held(gateway: Gateway, how: str, stream: bool) -> None:
    gateway.answers(200, *UNSEEN[how])
    cost, held = await charged(gateway, {**ASK, "stream": stream, "timeouts": {"total_ms": 30}})
    assert cost == held > 100 * 10_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", UNSEEN)
async def test_a_tenant_may_have_it_cost_what_was_counted(gateway: Gateway, how: str, stream: bool) -> None:
    gateway.hold(principal(msgspec.structs.replace(TENANT, lost_requests="release")))
    gateway.answers(200, *UNSEEN[how])
    cost, _ = await charged(gateway, {**ASK, "stream": stream, "timeouts": {"total_ms": 30}})
    assert cost == PROMPT


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_was_never_reached_costs_nothing(gateway: Gateway, stream: bool) -> None:
    gateway.outbound.answer = ProviderError("The connection to the provider failed (ClientConnectorError).")
    assert (await charged(gateway, {**ASK, "stream": stream}))[0] == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 404, 408, 429, 500, 503])
async def test_a_provider_that_says_that_it_failed_costs_nothing(gateway: Gateway, status: int, stream: bool) -> None:
    gateway.answers(status, b"{}")
    assert (await charged(gateway, {**ASK, "stream": stream}))[0] == 0


async def test_its_status_is_enough_where_the_rest_of_its_refusal_is_cut_off(gateway: Gateway) -> None:
    gateway.answers(503, b"{", ProviderError("The connection to the provider failed (ClientPayloadError)."))
    assert (await charged(gateway, ASK))[0] == 0


async def test_a_stream_that_begins_with_the_provider_s_error_costs_nothing(gateway: Gateway) -> None:
    gateway.answers(200, OVERLOADED)
    assert (await charged(gateway, {**ASK, "stream": True}))[0] == 0


@pytest.mark.parametrize("end", [ProviderError("cut"), OVERLOADED, silence()])
async def test_a_stream_of_a_model_that_cannot_think_is_paid_by_the_most_of_what_was_seen(
    gateway: Gateway, end: Any
) -> None:
    """Its provider has read the whole prompt: that costs what was held for it, and so does each byte that came."""
    knowing(gateway)
    gateway.answers(200, STREAM[0], TEXT, end)
    cost, held = await charged(gateway, {**ASK, "stream": True, "timeouts": {"total_ms": 30}})
    assert cost == held - (100 - 40) * 10_000


@pytest.mark.parametrize("written", ["8264" * 300, "\N{HOT BEVERAGE}" * 300, "a1+/" * 300])
async def test_whoever_breaks_a_stream_off_does_not_choose_what_it_costs(gateway: Gateway, written: str) -> None:
    """Digits, emoji and base64 have far fewer bytes a token than prose: no tokenizer makes more than one of each."""
    knowing(gateway)
    gateway.answers(200, STREAM[0], event({"content": written}), silence())
    said = {"messages": [{"role": "user", "content": written}], "max_tokens": 10_000}
    cost, _ = await charged(gateway, {**ASK, **said, "stream": True, "timeouts": {"total_ms": 30}})
    assert cost >= len(written.encode()) * (2_500 + 10_000)


async def test_a_stream_that_broke_off_costs_no_more_than_was_held(gateway: Gateway) -> None:
    knowing(gateway)
    gateway.answers(200, STREAM[0], event({"content": "x" * 4_000}), ProviderError("cut"))
    cost, held = await charged(gateway, {**ASK, "stream": True})
    assert cost == held


async def test_a_tenant_may_have_a_stream_cost_what_was_counted(gateway: Gateway) -> None:
    knowing(gateway)
    gateway.hold(principal(msgspec.structs.replace(TENANT, lost_requests="release")))
    gateway.answers(200, STREAM[0], TEXT, ProviderError("cut"))
    assert (await charged(gateway, {**ASK, "stream": True}))[0] == SAID


@pytest.mark.parametrize(
    ("capabilities", "more"),
    [
        (["reasoning"], {"reasoning_effort": "low"}),
        ([], {"messages": [{"role": "user", "content": [IMAGE, {"type": "text", "text": "Hello"}]}]}),
        (["web_search"], {"web_search_options": {}}),
    ],
)
async def test_what_a_stream_does_not_show_is_charged_as_it_was_held(
    gateway: Gateway, capabilities: list[str], more: dict[str, Any]
) -> None:
    knowing(gateway, *capabilities)
    gateway.answers(200, STREAM[0], TEXT, ProviderError("cut"))
    cost, held = await charged(gateway, {**ASK, **more, "stream": True})
    assert cost == held > SAID


async def test_figures_of_the_provider_are_its_last_word_on_the_prompt(gateway: Gateway) -> None:
    knowing(gateway)
    gateway.answers(200, STREAM[0], FINAL, TEXT, ProviderError("cut"))
    assert (await charged(gateway, {**ASK, "stream": True}))[0] == 9 * 2_500 + 40 * 10_000


async def test_a_function_that_is_ended_leaves_the_charge_of_what_it_asked(gateway: Gateway) -> None:
    waiting = asyncio.Event()

    async def wait_for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    gateway.answers(200, wait_for_ever)
    call = asyncio.create_task(gateway.chat(ASK))
    async with asyncio.timeout(5):
        await waiting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    [line] = gateway.records.written
    assert line.usage_estimated
    assert (line.cost_nano_usd or 0) > 100 * 10_000
