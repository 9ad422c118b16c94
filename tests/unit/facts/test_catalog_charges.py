"""What the catalog states beyond plain token prices: the most that an image counts as, service tiers, fees."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest

from gateway.model.catalog import ModelFacts
from tests.unit.facts.rows import every_row, facts


def tiles(base: int, tile: int) -> int:
    """OpenAI's tiles: into 2,048 x 2,048, then the short side to 768, in tiles of 512: 2 x 4 at most, and a base."""
    return base + tile * math.ceil(768 / 512) * math.ceil(2_048 / 512)


def patches(most: int, multiplier: str) -> int:
    """OpenAI's patches of 32 x 32: so many at most, each worth that many tokens."""
    return math.ceil(most * Fraction(multiplier))


def grid(side: int, pixels: int) -> int:
    """Mistral's square at its largest, in pieces of so many pixels, with one token more at the end of each row."""
    return (side // pixels) * (side // pixels + 1)


CLAUDE, CLAUDE_4_7 = 1_568, 4_784
"""28 x 28 pixels each; a larger image is made smaller until it has no more."""
GEMINI_3 = 2_240
"""At the resolution `ultra_high`, which a part can ask for; 1,120 unasked."""

FAMILIES = {
    ("openai", "gpt-4o"): tiles(85, 170),
    ("openai", "gpt-4.1-2025-04-14"): tiles(85, 170),
    ("openai", "gpt-4-turbo"): tiles(85, 170),
    ("openai", "gpt-4o-mini-2024-07-18"): tiles(2_833, 5_667),
    ("openai", "gpt-5"): tiles(70, 140),
    ("openai", "o3"): tiles(75, 150),
    ("openai", "gpt-5-mini"): patches(6_144, "1.62"),
    ("openai", "gpt-4.1-nano"): patches(6_144, "2.46"),
    ("openai", "o4-mini"): patches(6_144, "1.72"),
    ("openai", "gpt-5.2"): patches(6_144, "1.2"),
    ("openai", "gpt-5.5"): patches(10_000, "1.2"),
    ("openai", "gpt-5.6"): patches(30_000, "1.2"),
    ("azure", "gpt-4o"): tiles(85, 170),
    ("azure", "gpt-4o-mini"): tiles(2_833, 5_667),
    ("azure", "claude-sonnet-5"): CLAUDE_4_7,
    ("anthropic", "claude-sonnet-4-6"): CLAUDE,
    ("anthropic", "claude-opus-4-20250514"): CLAUDE,
    ("anthropic", "claude-opus-4-7"): CLAUDE_4_7,
    ("anthropic", "claude-opus-5-5"): CLAUDE_4_7,
    ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0"): CLAUDE,
    ("bedrock", "global.anthropic.claude-opus-4-8"): CLAUDE_4_7,
    ("vertex", "claude-opus-4-6@default"): CLAUDE,
    ("google", "gemini-3.1-pro-preview"): GEMINI_3,
    ("vertex", "gemini-3.8-flash"): GEMINI_3,
    ("mistral", "pixtral-12b"): grid(1_024, 16),
    ("bedrock", "mistral.pixtral-large-2502-v1:0"): grid(1_024, 16),
    ("mistral", "mistral-medium-2508"): grid(1_540, 28),
    ("openrouter", "openai/gpt-4o"): tiles(85, 170),
}
"""One of each family and host; where the formula is documented, the overlay names the page."""
UNKNOWN = (
    *(("openai", "gpt-5.1"), ("openai", "gpt-5-pro"), ("google", "gemini-2.5-pro"), ("groq", "llama-3.1-8b-instant")),
    *(("bedrock", "amazon.nova-pro-v1:0"), ("together", "moonshotai/Kimi-K2.6"), ("xai", "grok-4.3")),
)


@pytest.mark.parametrize(("name", "tokens"), FAMILIES.items(), ids=map("/".join, FAMILIES))
def test_an_image_counts_as_no_more_than_its_familys_formula_gives(name: tuple[str, str], tokens: int) -> None:
    assert facts(*name).image_tokens == tokens


@pytest.mark.parametrize("name", UNKNOWN, ids="/".join)
def test_without_a_documented_bound_there_is_none(name: tuple[str, str]) -> None:
    assert facts(*name).image_tokens is None


def test_only_models_that_take_images_have_a_bound_and_it_fits_their_context() -> None:
    for provider, row in every_row():
        if row.image_tokens is not None:
            assert "image" in row.input, (provider, row.id)
            assert row.context_tokens is None or row.image_tokens < row.context_tokens, (provider, row.id)


# USD per million tokens, as printed by https://openai.com/api-priority-processing/ and the providers' price pages.
PRINTED = {
    ("openai", "gpt-5.5", "priority"): {"input": "12.50", "cache_read": "1.25", "output": "75"},
    ("openai", "gpt-5.4-mini", "priority"): {"input": "1.50", "cache_read": "0.15", "output": "9"},
    ("openai", "gpt-5.2", "priority"): {"input": "3.50", "cache_read": "0.35", "output": "28"},
    ("openai", "gpt-5-mini", "priority"): {"input": "0.45", "cache_read": "0.045", "output": "3.60"},
    ("openai", "gpt-4.1", "priority"): {"input": "3.50", "cache_read": "0.875", "output": "14"},
    ("openai", "gpt-4o", "priority"): {"input": "4.25", "cache_read": "2.125", "output": "17"},
    ("openai", "gpt-4o-mini", "priority"): {"input": "0.25", "cache_read": "0.125", "output": "1"},
    ("openai", "o4-mini", "priority"): {"input": "2", "cache_read": "0.50", "output": "8"},
    ("openai", "gpt-5", "flex"): {"input": "0.625", "cache_read": "0.0625", "output": "5"},
    ("openai", "gpt-4o", "batch"): {"input": "1.25", "cache_read": "0.625", "output": "5"},
    ("anthropic", "claude-sonnet-4-5", "batch"): {
        "input": "1.50",
        "output": "7.50",
        "cache_read": "0.15",
        "cache_write": "1.875",
        "cache_write_1h": "3",
    },
    ("google", "gemini-3-pro-preview", "priority"): {"input": "3.60", "cache_read": "0.36", "output": "21.60"},
    ("groq", "openai/gpt-oss-120b", "batch"): {"input": "0.075", "output": "0.30", "cache_read": "0.0375"},
}


@pytest.mark.parametrize(("name", "printed"), PRINTED.items(), ids=map("/".join, PRINTED))
def test_tiers_cost_what_is_printed(name: tuple[str, str, str], printed: dict[str, str]) -> None:
    provider, model, tier = name
    prices = facts(provider, model).service_tiers[tier].prices
    for kind, usd in printed.items():
        assert Fraction(getattr(prices, kind), 10**6) == Fraction(usd), kind


def test_a_tier_prices_the_same_classes_as_the_model() -> None:
    for provider, row in every_row():
        for tier in row.service_tiers.values():
            assert row.prices is not None
            for kind in row.prices.__struct_fields__:
                same = (getattr(row.prices, kind) is None) == (getattr(tier.prices, kind) is None)
                assert same, (provider, row.id, kind)


def test_batch_and_flex_save_and_priority_costs() -> None:
    for provider, row in every_row():
        plain = row.prices.output if row.prices is not None else None
        for name, tier in row.service_tiers.items():
            assert plain is not None
            assert tier.prices.output is not None
            dearer = tier.prices.output > plain
            assert dearer == (name == "priority" and plain > 0), (provider, row.id, name)


def test_only_where_an_account_can_choose_it_a_tier_comes_unasked() -> None:
    unasked = {provider for provider, row in every_row() for tier in row.service_tiers.values() if tier.unasked}
    assert unasked == {"openai"}


def searching(row: ModelFacts) -> set[str]:
    return {"web_searches", "grounded_prompts"} & {price.unit for price in row.unit_prices}


def test_where_the_wires_count_searches_they_have_a_price() -> None:
    for provider, row in every_row():
        if row.api == "generate_content" and row.output == ("text",) and row.id.startswith("gemini-"):
            assert len(searching(row)) == 1, (provider, row.id)
        if provider == "anthropic" or (provider == "openai" and row.api == "responses" and not row.id.startswith("o1")):
            assert searching(row) == {"web_searches"}, (provider, row.id)


@pytest.mark.parametrize(
    ("provider", "model", "unit", "usd_per_thousand"),
    [
        ("anthropic", "claude-haiku-4-5", "web_searches", 10),
        ("openai", "gpt-5-codex", "web_searches", 10),
        ("openai", "gpt-4o-search-preview", "requests", 25),
        ("google", "gemini-3.8-flash", "web_searches", 14),
        ("google", "gemini-2.5-flash", "grounded_prompts", 35),
        ("perplexity", "sonar-pro", "requests", 14),
        ("xai", "grok-4.3", "web_searches", 5),
    ],
)
def test_fees_are_the_printed_ones(provider: str, model: str, unit: str, usd_per_thousand: int) -> None:
    (price,) = [price for price in facts(provider, model).unit_prices if price.unit == unit]
    assert price.pico_usd_of(1_000) == usd_per_thousand * 10**12


WORKS_ALONE = re.compile(r"deep-research|multi-agent|compound|sonar|search-(preview|api|pro)|:online|agent")


def test_a_model_that_works_by_itself_says_how_much_that_can_cost() -> None:
    """By name, because that is how a new one comes into the data; and whatever is charged by the request for it."""
    for provider, row in every_row():
        if "text" in row.output and (WORKS_ALONE.search(row.id) or any(p.unit == "requests" for p in row.unit_prices)):
            assert row.agentic is not None, (provider, row.id)
            assert row.agentic.source.startswith("https://"), (provider, row.id)


@pytest.mark.parametrize(
    ("provider", "model", "most_pico_usd"),
    [
        ("perplexity", "sonar-deep-research", None),
        ("openai", "o3-deep-research", None),
        ("openai", "o4-mini-deep-research", None),
        ("xai", "grok-4.20-multi-agent-0309", None),
        ("groq", "groq/compound", None),
        ("perplexity", "sonar-pro", 0),
        ("openai", "gpt-4o-search-preview", 0),
    ],
)
def test_only_a_fixed_fee_bounds_what_a_model_does_by_itself(
    provider: str, model: str, most_pico_usd: int | None
) -> None:
    """What OpenAI's search models read is free, and Perplexity's single search has the fee of its request."""
    row = facts(provider, model)
    assert row.agentic is not None
    assert row.agentic.most_pico_usd == most_pico_usd
