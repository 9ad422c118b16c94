"""What recorded answers cost: ours equals tokens times price, computed here from the recording's own figures.

Every recording with usage is priced by a model that has a price for every class, tier and fee, so that none can be
mistaken for another; and by its own model's row, where the catalog has one.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.errors import PriceUnknown
from gateway.model.limits import Allowance, Budget
from gateway.model.money import cost_nano_usd
from gateway.model.reply import Reply
from gateway.model.tenant import Tenant
from gateway.model.usage import TokenUsage
from gateway.pipeline.demand import demand_of
from gateway.pipeline.route import Route
from gateway.providers.lookup import provider_named
from tests.fakes import principal
from tests.providers import replay
from tests.providers.replay import Planned, Recording
from tests.unit.facts.facts import CATALOG

RUN = [planned for planned in replay.plan() if planned.skipped is None]
if not RUN:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)

Row = dict[str, Any]
HOLDER = principal(Tenant(id="acme", allowance=Allowance(budgets=(Budget(window="month", usd=Decimal(1_000_000)),))))
UNBOUNDED = (
    "x_search",
    "code_interpreter",
    "code_execution",
    "image_generation",
    "file_search",
    "systemTool",
)
UNPRICED_SEARCHES = ("azure", "openrouter", "xai")
STATES_OTHERS_PRICES = ("openrouter",)
"""Its price is that of the host it chose, which may be dearer than the one that the catalog knows."""
CLASSES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
PRICES = (1_000_003, 4_000_037, 100_003, 1_250_003, 2_000_003, 5_000_011)
BY_MODALITY = {"input_audio": 9_000_011, "output_audio": 16_000_057, "output_image": 31_000_003}
PRIMES = dict(zip(CLASSES, PRICES, strict=True)) | BY_MODALITY


def _times(factor: int) -> dict[str, int]:
    return {name: price * factor for name, price in PRIMES.items()}


PRICED: Row = {
    "prices": PRIMES,
    "price_tiers": [{"above_prompt_tokens": 2_000, "prices": _times(3)}],
    "service_tiers": {
        "flex": {"prices": _times(5), "price_tiers": [{"above_prompt_tokens": 2_000, "prices": _times(7)}]},
        "priority": {"prices": _times(11)},
        "batch": {"prices": _times(13)},
    },
    "unit_prices": [
        {"unit": "requests", "pico_usd": 17_000},
        {"unit": "web_searches", "pico_usd": 10_000_019_000_000, "per": 1_000},
        {"unit": "grounded_prompts", "pico_usd": 35_000_023_000},
    ],
}
TIER_WORDS = {"standard": "default", "ON_DEMAND": "default", "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}


def tier_of(recording: Recording) -> str | None:
    """The last that the answer names, wherever its API puts it."""
    answer = recording["response"]
    text = json.dumps([answer.get("body"), answer.get("chunks")]) + str(answer.get("sse", ""))
    found = None
    for name in ("service_tier", "serviceTier", "trafficType"):
        for piece in text.split(f'"{name}":')[1:]:
            word = piece.lstrip().removeprefix('{"type":').lstrip()
            found = word[1:].partition('"')[0] if word.startswith('"') else found
    return TIER_WORDS.get(found or "", found)


def independent(usage: TokenUsage, row: Row, tier: str | None) -> int | None:
    """By the rules of docs/models.md, from the catalog's JSON."""
    if usage.stated_cost_nano_usd is not None:
        return usage.stated_cost_nano_usd
    if any(name.startswith("server_tools") for name in usage.units):
        return None
    rates = row.get("service_tiers", {}).get(tier, row)
    longer = [one for one in rates.get("price_tiers", ()) if usage.prompt_tokens > one["above_prompt_tokens"]]
    price = longer[-1]["prices"] if longer else rates.get("prices")
    if price is None or "input" not in price or "output" not in price:
        return None
    counted = {"requests": 1} | usage.units
    of_units = [one for one in row.get("unit_prices", ()) if one["unit"] in counted]
    units = sum(Fraction(one["pico_usd"], one.get("per", 1)) * counted[one["unit"]] for one in of_units)
    return math.ceil(Fraction(_prompt(usage, price) + _completion(usage, price) + units, 1_000))


def _prompt(usage: TokenUsage, price: dict[str, int]) -> int:
    if usage.billed_prompt_tokens is not None:
        return usage.billed_prompt_tokens * price["input"]
    written_1h = usage.prompt.cache_write_1h_tokens
    written_5m = usage.prompt.cache_write_tokens - written_1h
    both = usage.prompt.cached_audio_tokens
    read, heard = usage.prompt.cached_tokens - both, usage.prompt.audio_tokens - both
    write = price.get("cache_write", price["input"])
    plain = max(0, usage.prompt_tokens - read - both - written_5m - written_1h - heard)
    return (
        plain * price["input"]
        + read * price.get("cache_read", price["input"])
        + both * price.get("cache_read_audio", price.get("cache_read", price.get("input_audio", price["input"])))
        + written_5m * write
        + written_1h * price.get("cache_write_1h", write)
        + heard * price.get("input_audio", price["input"])
    )


def _completion(usage: TokenUsage, price: dict[str, int]) -> int:
    if usage.billed_completion_tokens is not None:
        return usage.billed_completion_tokens * price["output"]
    of = usage.completion
    own = {"reasoning": of.reasoning_tokens, "output_audio": of.audio_tokens, "output_image": of.image_tokens}
    plain = max(0, usage.completion_tokens - sum(own.values()))
    return plain * price["output"] + sum(count * price.get(name, price["output"]) for name, count in own.items())


def row_of(planned: Planned, recording: Recording) -> Row | None:
    """The catalog's, where it has the recorded model."""
    provider = replay.ours(planned.provider, planned.api)
    path = CATALOG / f"{provider}.json"
    rows = json.loads(path.read_text())["models"] if path.is_file() else []
    return next((row for row in rows if row["id"] == replay.target_for(recording).model.id), None)


def answered(planned: Planned, recording: Recording) -> Reply | None:
    wire = replay.wire_for(planned.provider, planned.api)
    assert wire is not None
    outcome = replay.understood(recording, wire, replay.target_for(recording), 0)
    return outcome if isinstance(outcome, Reply) else None


@pytest.mark.parametrize("planned", RUN, ids=lambda planned: planned.id)
def test_our_cost_is_tokens_times_price(planned: Planned) -> None:
    recording = planned.load()
    reply, module = answered(planned, recording), replay.inverse(planned.api)
    assert module is not None
    usage = module.expected(recording).usage
    if reply is None or usage is None:
        assert reply is None or reply.usage is None
        return
    assert reply.usage is not None
    assert reply.service_tier == tier_of(recording)
    for row in (PRICED, row_of(planned, recording)):
        if row is not None:
            facts = msgspec.convert({"id": "m", "name": "m", **row}, ModelFacts)
            assert cost_nano_usd(reply.usage, facts, reply.service_tier) == independent(usage, row, reply.service_tier)


def works_by_itself(provider: str, request: dict[str, Any], facts: ModelFacts) -> bool:
    """Asks for what has no bound, so that nothing is held for it: tools of the provider's own, or such a model."""
    body = json.dumps(request)
    searches = provider in UNPRICED_SEARCHES and "web_search" in body
    return searches or facts.agentic is not None or any(word in body for word in UNBOUNDED)


@pytest.mark.parametrize("planned", [planned for planned in RUN if not planned.extra], ids=lambda planned: planned.id)
def test_nothing_costs_more_or_counts_more_than_was_held(planned: Planned) -> None:
    """The upper bound of a recorded request, against what its provider then charged."""
    recording = planned.load()
    row, reply = row_of(planned, recording), answered(planned, recording)
    if row is None or "prices" not in row or reply is None or reply.usage is None or recording["request"] is None:
        return
    target, name = replay.target_for(recording), replay.ours(planned.provider, planned.api)
    assert name is not None
    call, wire = replay.call_for(recording, target), replay.wire_for(planned.provider, planned.api)
    assert wire is not None
    facts = msgspec.convert(row, ModelFacts)
    try:
        _, held = demand_of(call, Route(provider_named(name), facts, wire), HOLDER, 1.0)
    except PriceUnknown:
        assert works_by_itself(name, recording["request"], facts)
        return
    assert reply.usage.total_tokens <= held.tokens
    if name not in STATES_OTHERS_PRICES:
        assert (cost_nano_usd(reply.usage, facts, reply.service_tier) or 0) <= held.cost_nano_usd


def test_the_recordings_have_every_kind_of_charge() -> None:
    """So that none of the rules goes untested: classes of tokens, tiers, searches, and prices that are stated."""
    seen: set[str] = set()
    for planned in RUN:
        recording = planned.load()
        reply = answered(planned, recording)
        if reply is not None and reply.usage is not None:
            seen |= _charges(reply, reply.usage)
    charged = {"flex", "web_searches", "grounded_prompts", "server_tools:image_gen"}
    assert seen >= {"cached", "written", "reasoning", "heard", "heard_again", "spoken"} | charged
    assert seen >= {"stated", "billed"}


def _charges(reply: Reply, usage: TokenUsage) -> set[str]:
    happened = {
        "cached": usage.prompt.cached_tokens,
        "written": usage.prompt.cache_write_tokens,
        "reasoning": usage.completion.reasoning_tokens,
        "heard": usage.prompt.audio_tokens,
        "heard_again": usage.prompt.cached_audio_tokens,
        "spoken": usage.completion.audio_tokens,
        "flex": reply.service_tier == "flex",
        "stated": usage.stated_cost_nano_usd,
        "billed": usage.billed_prompt_tokens,
        **usage.units,
    }
    return {name for name, amount in happened.items() if amount}
