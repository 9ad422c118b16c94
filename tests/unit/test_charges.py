"""Service tiers and fees around a chat call: what is held before, what is paid after, what is recorded."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.catalog import Agentic, ModelFacts, Prices, ServiceTier, UnitPrice
from gateway.model.limits import Allowance
from gateway.model.record import UsageRecord
from gateway.model.tenant import Tenant
from tests.fakes import ListEvents, MemoryCatalog, principal
from tests.unit.conftest import FACTS, TENANT, Gateway
from tests.unit.test_chat_function import HELLO, WHOLE

ASK = {**HELLO, "max_tokens": 10}
PLAIN_NANO_USD = 9 * 2_500 + 3 * 10_000
TIERED: ModelFacts = msgspec.structs.replace(
    FACTS,
    service_tiers={
        "flex": ServiceTier(prices=Prices(input=1_250_000, output=5_000_000)),
        "priority": ServiceTier(prices=Prices(input=5_000_000, output=20_000_000), unasked=True),
    },
    unit_prices=(UnitPrice(unit="web_searches", pico_usd=10_000_000_000_000, per=1_000),),
)


def of(gateway: Gateway, facts: ModelFacts) -> None:
    gateway.world = replace(gateway.world, catalog=MemoryCatalog({"openai": {"gpt-4o": facts}}))


def agentic(most_pico_usd: int | None) -> ModelFacts:
    own = Agentic(most_pico_usd=most_pico_usd, source="https://example.com", as_of="2026-11-29")
    return msgspec.structs.replace(TIERED, agentic=own)


@pytest.fixture
def tiered(gateway: Gateway) -> Gateway:
    of(gateway, TIERED)
    gateway.hold(principal(tiered_tenant()))
    return gateway


def tiered_tenant() -> Tenant:
    allowance = msgspec.convert({"budgets": [{"window": "day", "usd": "100"}]}, Allowance)
    return msgspec.structs.replace(TENANT, allowance=allowance)


def served_on(tier: str | None) -> bytes:
    return json.dumps({**json.loads(WHOLE), "service_tier": tier}).encode()


async def held(gateway: Gateway, body: dict[str, Any]) -> int:
    """Nano-USD while the provider is asked."""
    seen: list[int] = []

    async def look() -> None:
        reading = await gateway.world.ledger.read("T#acme#0")
        seen.extend(hold.cost_nano_usd for hold in reading.holds.values())

    gateway.answers(200, look, WHOLE)
    assert (await gateway.chat(body)).status == 200
    [nano_usd] = seen
    return nano_usd


def usage_record(gateway: Gateway) -> UsageRecord:
    assert isinstance(gateway.world.events, ListEvents)
    [record] = [one for one in gateway.world.events.told if isinstance(one, UsageRecord)]
    return record


@pytest.mark.parametrize(
    ("tier", "nano_usd", "priced_as_default"),
    [
        (None, PLAIN_NANO_USD, False),
        ("default", PLAIN_NANO_USD, False),
        ("flex", PLAIN_NANO_USD // 2, False),
        ("priority", PLAIN_NANO_USD * 2, False),
        ("scale", PLAIN_NANO_USD, True),
    ],
)
async def test_the_tier_that_the_reply_names_is_paid(
    tiered: Gateway, tier: str | None, nano_usd: int, priced_as_default: bool
) -> None:
    tiered.answers(200, served_on(tier))
    answer = await tiered.chat(ASK)
    assert answer.json["usage"]["cost_estimate"] == nano_usd / 10**9
    record, [line] = usage_record(tiered), tiered.records.written
    for told in (record, line):
        assert (told.cost_nano_usd, told.service_tier) == (nano_usd, tier)
        assert told.priced_as_default == priced_as_default


async def test_what_is_held_is_the_dearest_tier_that_can_serve_the_call(tiered: Gateway) -> None:
    default = await held(tiered, {**ASK, "service_tier": "default"})
    assert await held(tiered, {**ASK, "service_tier": "flex"}) == default
    for body in (ASK, {**ASK, "service_tier": "auto"}, {**ASK, "service_tier": "priority"}):
        assert await held(tiered, body) == pytest.approx(default * 2, abs=200_000)  # the longer body is text, too
    options = {"provider_options": {"openai": {"service_tier": "priority"}}}
    assert await held(tiered, {**ASK, "service_tier": "default", **options}) > default * 2


async def test_a_tier_without_a_price_is_refused_where_money_is_limited(tiered: Gateway) -> None:
    refused = await tiered.chat({**ASK, "service_tier": "scale"})
    assert (refused.status, refused.json["error"]["code"]) == (400, "price_unknown")
    assert refused.json["error"]["param"] == "service_tier"


async def test_what_a_model_does_by_itself_is_held_where_it_has_a_bound(tiered: Gateway) -> None:
    plain = await held(tiered, ASK)
    of(tiered, agentic(3_000_000_000))
    assert await held(tiered, ASK) == plain + 3_000_000


async def test_a_model_that_works_without_a_bound_is_refused_where_money_is_limited(tiered: Gateway) -> None:
    of(tiered, agentic(None))
    refused = await tiered.chat(ASK)
    assert (refused.status, refused.json["error"]["code"]) == (400, "price_unknown")
    assert refused.json["error"]["param"] == "model"
    tiered.hold(principal(msgspec.structs.replace(tiered_tenant(), allows_unpriced_models=True)))
    tiered.answers(200, WHOLE)
    assert (await tiered.chat(ASK)).status == 200


DEARER: list[tuple[dict[str, Any], str]] = [
    ({"provider_options": {"openai": {"speed": "fast"}}}, "provider_options.openai.speed"),
    ({"provider_options": {"openai": {"inference_geo": "us"}}}, "provider_options.openai.inference_geo"),
    (
        {"provider_options": {"openai": {"performanceConfig": {"latency": "optimized"}}}},
        "provider_options.openai.performanceConfig",
    ),
    ({"provider_options": {"openai": {"extra_body": {"speed": "fast"}}}}, "provider_options.openai.extra_body.speed"),
    ({"web_search_options": {"search_type": "pro"}}, "web_search_options.search_type"),
]


@pytest.mark.parametrize(("more", "param"), DEARER)
async def test_what_changes_the_price_is_refused_where_money_is_limited(
    tiered: Gateway, more: dict[str, Any], param: str
) -> None:
    refused = await tiered.chat({**ASK, **more})
    assert (refused.status, refused.json["error"]["code"]) == (400, "price_unknown")
    assert refused.json["error"]["param"] == param
    tiered.hold(principal(TENANT))
    tiered.answers(200, WHOLE)
    assert (await tiered.chat({**ASK, **more})).status == 200


@pytest.mark.parametrize(
    "options",
    [
        {"speed": "standard"},
        {"inference_geo": "global"},
        {"performanceConfig": {"latency": "standard"}},
        {"speed": None, "performanceConfig": {}},
    ],
)
async def test_what_asks_for_the_plain_price_passes(tiered: Gateway, options: dict[str, Any]) -> None:
    tiered.answers(200, WHOLE)
    assert (await tiered.chat({**ASK, "provider_options": {"openai": options}})).status == 200
