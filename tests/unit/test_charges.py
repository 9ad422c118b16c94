"""Service tiers and fees around a chat call: what is held before, what is paid after, what is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts, Prices, ServiceTier, UnitPrice
from gateway.model.limits import Allowance
from gateway.model.record import UsageRecord
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


@pytest.fixture
def tiered(gateway: Gateway) -> Gateway:
    catalog = MemoryCatalog({"openai": {"gpt-4o": TIERED}})
    gateway.world = replace(gateway.world, catalog=catalog)
    allowance = msgspec.convert({"budgets": [{"window": "day", "usd": "100"}]}, Allowance)
    gateway.hold(principal(msgspec.structs.replace(TENANT, allowance=allowance)))
    return gateway


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


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({"tools": [{"type": "web_search"}]}, 10),
        ({"tools": [{"type": "web_search", "max_uses": 2}]}, 2),
        ({"data_sources": [{"type": "azure_search"}]}, 10),
        ({"tools": [{"type": "web_search"}, {"type": "web_search"}], "max_tool_calls": 3}, 3),
    ],
)
async def test_searches_are_held_for_as_many_as_the_call_allows(
    tiered: Gateway, options: dict[str, Any], calls: int
) -> None:
    body = {**ASK, "service_tier": "default", "provider_options": {"openai": options}}
    tokens = (TIERED.context_tokens or 1_000_000) * 2_500 + 10 * 10_000
    assert await held(tiered, body) == tokens + calls * 10_000_000
