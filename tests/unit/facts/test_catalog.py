"""What shared/catalog states: shape, prices of tokens against their sources, how models are to be asked."""

from __future__ import annotations

from fractions import Fraction

import jsonschema
import msgspec
import pytest

from gateway.model.catalog import ModelFacts, ProviderCatalog
from scripts.catalog_overlay import read_overlays
from tests.unit.facts.facts import CATALOG, SHARED, read_json
from tests.unit.facts.rows import PROVIDERS, catalog, every_row, facts

# USD per million tokens, as the providers' own price pages print them.
PRINTED_USD_PER_MILLION = {
    ("openai", "gpt-4o-mini"): {"input": "0.15", "output": "0.60", "cache_read": "0.075"},
    ("openai", "gpt-4.1-nano"): {"input": "0.10", "output": "0.40", "cache_read": "0.025"},
    ("openai", "gpt-5-nano"): {"input": "0.05", "output": "0.40", "cache_read": "0.005"},
    ("openai", "o1-pro"): {"input": "150", "output": "600"},
    ("openai", "text-embedding-3-small"): {"input": "0.02", "output": "0"},
    ("voyage", "voyage-3.5"): {"input": "0.06", "output": "0"},
    ("cohere", "embed-v4.0"): {"input": "0.12", "output": "0"},
    ("perplexity", "pplx-embed-v1-0.6b"): {"input": "0.004", "output": "0"},
    ("openai", "gpt-audio"): {"input": "2.50", "output": "10", "input_audio": "32", "output_audio": "64"},
    ("anthropic", "claude-sonnet-4-5"): {
        "input": "3",
        "output": "15",
        "cache_read": "0.30",
        "cache_write": "3.75",
        "cache_write_1h": "6",
    },
    ("anthropic", "claude-3-haiku-20240307"): {
        "input": "0.25",
        "output": "1.25",
        "cache_read": "0.03",
        "cache_write": "0.30",
        "cache_write_1h": "0.50",
    },
    ("google", "gemini-2.5-flash"): {
        "input": "0.30",
        "output": "2.50",
        "cache_read": "0.03",
        "cache_read_audio": "0.1",
        "input_audio": "1.00",
    },
    ("deepseek", "deepseek-v4-pro"): {"input": "0.435", "output": "0.87", "cache_read": "0.003625"},
    ("bedrock", "google.gemma-3-12b-it"): {"input": "0.05", "output": "0.10"},
    ("bedrock", "amazon.nova-micro-v1:0"): {"input": "0.035", "output": "0.14", "cache_read": "0.00875"},
    ("groq", "llama-3.1-8b-instant"): {"input": "0.05", "output": "0.08"},
    ("openrouter", "google/gemini-2.5-flash-lite"): {
        "input": "0.10",
        "output": "0.40",
        "reasoning": "0.40",
        "cache_read": "0.01",
        "cache_write": "0.083333",
    },
    ("ollama", "llama3.2"): {"input": "0", "output": "0"},
}


def test_there_is_one_file_per_provider() -> None:
    assert sorted(path.stem for path in CATALOG.glob("*.json")) == sorted(PROVIDERS)


def test_shared_holds_facts_only() -> None:
    assert list(SHARED.rglob("*.py")) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_file_obeys_the_schema(provider: str) -> None:
    schema = read_json(SHARED / "schemas" / "catalog.schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    document = read_json(CATALOG / f"{provider}.json")
    assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)] == []
    assert document["provider"] == provider


def test_the_schema_has_every_member_of_the_model_and_no_other() -> None:
    defined = read_json(SHARED / "schemas" / "catalog.schema.json")
    rows = defined["$defs"]["model"]["properties"]
    assert set(rows) == set(ModelFacts.__struct_fields__)
    assert set(defined["properties"]) == set(ProviderCatalog.__struct_fields__)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_model_per_line_sorted_and_unique(provider: str) -> None:
    lines = (CATALOG / f"{provider}.json").read_text().splitlines()
    ids = [row.id for row in catalog(provider).models]
    assert len(lines) == len(ids) + 2
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(("name", "printed"), PRINTED_USD_PER_MILLION.items(), ids="/".join)
def test_prices_are_the_printed_ones_exactly(name: tuple[str, str], printed: dict[str, str]) -> None:
    prices = facts(*name).prices
    assert prices is not None
    pico_usd = {key: value for key, value in msgspec.structs.asdict(prices).items() if value is not None}
    per_million = {key: Fraction(value * 1_000_000, 10**12) for key, value in pico_usd.items()}
    assert per_million == {key: Fraction(value) for key, value in printed.items()}


def test_long_prompts_cost_more() -> None:
    tier = facts("google", "gemini-2.5-pro").price_tiers[0]
    assert (tier.above_prompt_tokens, tier.prices.input, tier.prices.output) == (200_000, 2_500_000, 15_000_000)


def test_a_tier_prices_the_same_classes_as_the_model() -> None:
    """Otherwise a class would fall back to another one's price above the threshold only."""
    for provider, row in every_row():
        for tier in row.price_tiers:
            assert row.prices is not None
            for key in row.prices.__struct_fields__:
                same = (getattr(row.prices, key) is None) == (getattr(tier.prices, key) is None)
                assert same, (provider, row.id, key)


def test_nothing_is_free_by_accident() -> None:
    paid_otherwise = {f"{p}/{row.id}" for p, row in every_row() if row.unit_prices}
    free = {f"{p}/{row.id}" for p, row in every_row() if row.prices is not None and not row.prices.input}
    free -= paid_otherwise
    named = {name for name in free if name.startswith(("ollama/", "vllm/")) or name.endswith(":free")}
    assert free - named == {"cohere/north-mini-code-1-0", "mistral/labs-devstral-small-2512"}


def test_cached_input_is_never_free_beside_paid_input() -> None:
    paid = [(p, row.id, row.prices) for p, row in every_row() if row.prices is not None and row.prices.input]
    assert [(p, model) for p, model, prices in paid if 0 in (prices.cache_read, prices.cache_write)] == []


@pytest.mark.parametrize(
    ("model", "field", "sampling"),
    [
        ("gpt-5", "max_completion_tokens", False),
        ("o3", "max_completion_tokens", False),
        ("gpt-5.4-nano", "max_completion_tokens", True),  # with reasoning_effort none, its default
        ("gpt-4o", "max_tokens", True),
        ("gpt-4.1-2025-04-14", "max_tokens", True),
    ],
)
def test_openai_reasoning_models_take_other_parameters(model: str, field: str, sampling: bool) -> None:
    row = facts("openai", model)
    assert (row.output_limit_field, row.sampling) == (field, sampling)


def test_models_that_reason_say_how_where_it_is_known() -> None:
    assert facts("anthropic", "claude-sonnet-4-5").reasoning_by == "budget"
    assert facts("google", "gemini-2.5-flash").reasoning_by == "budget"
    assert facts("anthropic", "claude-opus-4-5").reasoning_by == "budget"
    assert facts("anthropic", "claude-opus-4-6").reasoning_by == "effort"
    row = facts("openai", "o3")
    assert (row.reasoning_by, row.reasoning_efforts) == ("effort", ("low", "medium", "high"))


def test_deprecated_models_are_marked() -> None:
    row = facts("anthropic", "claude-3-opus-20240229")
    assert (row.lifecycle, row.shutdown) == ("deprecated", "2026-01-05")
    assert facts("openai", "gpt-4o-mini").lifecycle == "production"


def test_self_hosted_providers_are_open_and_no_other() -> None:
    assert [provider for provider in PROVIDERS if catalog(provider).open] == ["ollama", "vllm"]


def test_a_bare_id_of_a_maker_is_unambiguous() -> None:
    makers = [provider for provider in PROVIDERS if catalog(provider).maker]
    ids = [row.id for provider in makers for row in catalog(provider).models]
    assert len(ids) == len(set(ids))


def test_every_overlay_reads_and_has_its_catalog() -> None:
    assert [overlay.provider for overlay in read_overlays(CATALOG / "overlay")] == sorted(PROVIDERS)


def test_what_is_not_charged_by_tokens_has_its_printed_price() -> None:
    """$0.000025 for 1,000 characters: https://cloud.google.com/vertex-ai/generative-ai/pricing"""
    row = facts("vertex", "text-embedding-005")
    assert [(price.unit, price.pico_usd_of(1_000)) for price in row.unit_prices] == [("characters", 25_000_000)]
