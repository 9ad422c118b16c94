"""Which way lines are carried out, and what is held for them then."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts, Prices, PriceTier, ServiceTier
from gateway.model.limits import Allowance, Budget
from gateway.model.money import Asked, DearestPrices, dearest_prices, most_nano_usd
from gateway.model.usage import TokenUsage
from tests.batch_stage import Stage, chat
from tests.fakes import MemoryCatalog, MemoryCredentials
from tests.native_stage import NativeBatch, mini, native_stage

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
PDF = "data:application/pdf;base64,JVBERi0xLjQK"


async def ways(*requests: dict[str, Any], **order: Any) -> list[tuple[str, str]]:
    batch = await NativeBatch.of([*requests], **order)
    return [(group.way, group.api) for group in await batch.groups]


def embed(model: str, inputs: Any) -> dict[str, Any]:
    return {"custom_id": "e", "url": "/v1/embeddings", "body": {"model": model, "input": inputs}}


def image(model: str, **members: Any) -> dict[str, Any]:
    return {"custom_id": "i", "url": "/v1/images/generations", "body": {"model": model, "prompt": "A cat", **members}}


@pytest.mark.parametrize(
    ("request_", "api"),
    [
        (mini(), "chat_completions"),
        (chat("a", "anthropic/claude-haiku-4-5"), "messages"),
        (chat("a", "google/gemini-2.5-flash"), "generate_content"),
        (chat("a", "mistral/mistral-small-latest"), "chat_completions"),
        (chat("a", "groq/llama-3.1-8b-instant"), "chat_completions"),
        (embed("openai/text-embedding-3-small", ["a", "b"]), "embeddings"),
        (embed("google/gemini-embedding-001", "a"), "embed_content"),
        (image("google/gemini-2.5-flash-image"), "generate_content"),
        (chat("a", "openai/gpt-5.4", tools=[TOOL], reasoning_effort="low"), "responses"),
        (mini(response_format={"type": "json_object"}), "chat_completions"),
        (mini(service_tier="auto"), "chat_completions"),
    ],
)
async def test_lines_that_their_provider_takes_in_batches_go_there(request_: dict[str, Any], api: str) -> None:
    assert await ways(request_) == [("native", api)]


@pytest.mark.parametrize(
    "request_",
    [
        mini(service_tier="flex"),
        chat("a", "openai/gpt-5", service_tier="flex"),
        chat("a", "anthropic/claude-haiku-4-5", provider_options={"anthropic": {"betas": ["x"]}}),
        chat("a", "groq/openai/gpt-oss-20b"),
        chat("a", "cohere/command-r-08-2024"),
        embed("google/gemini-embedding-001", ["a", "b"]),
        image("google/gemini-2.5-flash-image", n=2),
    ],
)
async def test_what_no_batch_takes_is_made_as_a_request(request_: dict[str, Any]) -> None:
    stage = native_stage(allowance=Allowance())
    held = {**stage.world.credentials.held, "cohere": stage.world.credentials.held["groq"]}  # type: ignore[attr-defined]
    stage.world = replace(stage.world, credentials=MemoryCredentials(held))
    batch = await NativeBatch.of([request_], stage)
    assert [(group.way, group.api) for group in await batch.groups] == [("fan_out", "")]


async def test_documents_of_which_nobody_knows_by_which_api_they_go_are_not_given_to_a_batch() -> None:
    """OpenAI's chat completions read PDF alone; what a file is shows when it is read."""
    part = {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}
    asked = mini(messages=[{"role": "user", "content": [part, {"type": "text", "text": "?"}]}])
    assert await ways(asked) == [("fan_out", "")]
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    seen = mini(messages=[{"role": "user", "content": [picture, {"type": "text", "text": "?"}]}])
    assert await ways(seen) == [("native", "chat_completions")]


async def test_an_order_may_have_all_made_as_requests() -> None:
    assert await ways(mini(), processing="direct") == [("fan_out", "")]
    stage = native_stage()
    batch = await NativeBatch.of([mini()], stage, processing="direct")
    assert (await stage.shown(batch.batch_id))["processing"] == "direct"
    answer = await stage.post({"requests": [mini()], "processing": "cheap"})
    assert (answer.status, answer.json["error"]["param"]) == (400, "processing")


async def test_lines_of_one_model_that_go_several_ways_are_several_groups() -> None:
    asked = [
        chat("a", "openai/gpt-5.4"),
        chat("b", "openai/gpt-5.4", service_tier="flex"),
        chat("c", "openai/gpt-5.4", tools=[TOOL], reasoning_effort="low"),
        chat("d", "openai/gpt-5.4"),
    ]
    batch = await NativeBatch.of(asked)
    assert [(group.way, group.api, group.lines) for group in await batch.groups] == [
        ("native", "chat_completions", 2),
        ("fan_out", "", 1),
        ("native", "responses", 1),
    ]


async def test_models_are_counted_and_not_their_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.batch_split.MAX_MODELS", 1)
    stage = native_stage()
    await NativeBatch.of([mini("a"), mini("b", service_tier="default", store=False)], stage)
    batch = await NativeBatch.of([chat("a", "openai/gpt-5.4"), chat("b", "openai/gpt-5.4", service_tier="flex")], stage)
    assert len(await batch.groups) == 2


async def test_what_is_held_for_a_batch_is_at_its_price() -> None:
    """Half of what the same request costs by itself, of all models that are asked here."""
    for model in ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"):
        asked = chat("a", model, service_tier="default")
        [native] = await (await NativeBatch.of([asked])).groups
        [direct] = await (await NativeBatch.of([asked], processing="direct")).groups
        assert native.held_nano_usd * 2 in (direct.held_nano_usd, direct.held_nano_usd + 1), model


async def test_a_budget_that_has_room_at_a_batchs_price_alone_is_enough() -> None:
    [direct] = await (await NativeBatch.of([mini()], processing="direct")).groups
    usd = Decimal(direct.held_nano_usd - 1) / 10**9
    stage = native_stage(allowance=Allowance(budgets=(Budget(window="month", usd=usd),)))
    await NativeBatch.of([mini()], stage)


async def test_a_model_without_a_price_for_batches_is_asked_directly() -> None:
    prices = Prices(input=2_000_000, output=4_000_000)
    facts = ModelFacts(id="gpt", name="gpt", source="s", capabilities=("batch",), prices=prices)
    for tiers, way in (({}, "fan_out"), ({"batch": ServiceTier(prices=prices)}, "native")):
        stage = Stage.of()
        known = msgspec.structs.replace(facts, service_tiers=tiers)
        stage.world = replace(stage.world, catalog=MemoryCatalog({"openai": {"gpt": known}}))
        assert [group.way for group in await (await NativeBatch.of([chat("a")], stage)).groups] == [way]


async def test_what_is_wrong_with_a_line_is_said_whatever_its_way() -> None:
    stage = native_stage(approvals=("openai/*",))
    asked = [chat("a", "google/gemini-2.5-flash"), mini("b", max_tokens=-1), mini("c", stream=True)]
    batch_id = await stage.ordered(asked)
    await stage.step(batch_id, "prepare")
    found = [(error["code"], error["param"]) for error in (await stage.shown(batch_id))["errors"]["data"]]
    assert found == [
        ("model_not_approved", "body.model"),
        ("validation_error", "body.max_tokens"),
        ("validation_error", "body.stream"),
    ]


TIERED = ModelFacts(
    id="m",
    name="m",
    prices=Prices(input=8_000_000, output=9_000_000),
    service_tiers={
        "priority": ServiceTier(prices=Prices(input=50_000_000, output=50_000_000), unasked=True),
        "batch": ServiceTier(
            prices=Prices(input=1_000_000, output=2_000_000),
            price_tiers=(PriceTier(above_prompt_tokens=100, prices=Prices(input=3_000_000, output=4_000_000)),),
        ),
    },
)


def test_a_batch_is_served_on_its_own_tier_alone() -> None:
    short, long = Asked(prompt_tokens=100, of_batch=True), Asked(prompt_tokens=101, of_batch=True)
    assert dearest_prices(TIERED, short) == DearestPrices(1_000_000, 2_000_000)
    assert dearest_prices(TIERED, long) == DearestPrices(3_000_000, 4_000_000)
    assert most_nano_usd(TIERED, TokenUsage(prompt_tokens=10, completion_tokens=1), of_batch=True) == 12_000
    without = msgspec.structs.replace(TIERED, service_tiers={})
    assert dearest_prices(without, short) is None
