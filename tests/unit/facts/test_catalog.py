"""What shared/catalog states: shape, and figures against their sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache

import jsonschema
import msgspec
import pytest

from gateway.model.catalog import ModelFacts, Prices, ProviderCatalog
from gateway.model.image_size import shape_of
from gateway.model.images import ImagesCall
from gateway.model.money import BATCH_TIER, NANO_PER_USD, cost_nano_usd
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.pipeline import route
from gateway.pipeline.images_usage import usage_of
from gateway.pipeline.route import CAPABILITIES, Capability, can_be_called
from gateway.providers.contract import Provider
from gateway.providers.lookup import provider_named, realtime_wire
from scripts.catalog_overlay import read_overlays
from tests.unit.facts.facts import CATALOG, SHARED, read_json

PROVIDERS = (
    *("anthropic", "azure", "bedrock", "cerebras", "cohere", "deepgram", "deepseek"),
    *("elevenlabs", "fireworks", "google", "groq"),
    *("huggingface", "mistral", "ollama", "openai", "openrouter", "perplexity", "runway", "together", "vertex"),
    *("vllm", "voyage", "xai"),
)
EMBEDDING_APIS = {"embeddings", "cohere_embed", "embed_content", "predict", "titan_embed"}
CHAT_APIS = {"chat_completions", "messages", "generate_content", "converse", "cohere_chat", "responses"}
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


@cache
def catalog(provider: str) -> ProviderCatalog:
    return msgspec.json.decode((CATALOG / f"{provider}.json").read_bytes(), type=ProviderCatalog)


def facts(provider: str, model: str) -> ModelFacts:
    return next(row for row in catalog(provider).models if row.id == model)


def every_row() -> list[tuple[str, ModelFacts]]:
    return [(provider, row) for provider in PROVIDERS for row in catalog(provider).models]


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
    ("model", "api"),
    [
        *((m, "responses") for m in ("o1-pro", "gpt-5-pro", "gpt-5-codex", "gpt-5.1-codex-max", "o3-deep-research")),
        *((m, "chat_completions") for m in ("gpt-4o", "gpt-5", "o3", "gpt-5.4-mini", "gpt-4o-audio-preview")),
        *(("text-embedding-3-large", "embeddings"), ("gpt-image-2", "images"), ("tts-1", "speech")),
        *(("whisper-1", "transcriptions"), ("sora-2", "videos"), ("gpt-realtime", "realtime")),
    ],
)
def test_openai_models_are_spoken_to_through_the_right_api(model: str, api: str) -> None:
    assert facts("openai", model).api == api


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


def test_what_generates_something_else_than_text_is_not_a_chat_model() -> None:
    for provider, row in every_row():
        if row.api == "chat_completions":
            assert "text" in row.output, (provider, row.id)
        if re.search(r"embed", row.id):
            assert row.api in EMBEDDING_APIS, (provider, row.id)
        if row.api in EMBEDDING_APIS:
            assert (row.output, "embeddings" in row.capabilities) == (("embedding",), True), (provider, row.id)
        if row.api not in CHAT_APIS:
            assert "embedding" in row.output or row.capabilities or row.api == "completions", (provider, row.id)


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


NOT_CALLED_YET = {
    "bedrock/openai.gpt-5.4",
    "bedrock/openai.gpt-5.5",
    "groq/canopylabs/orpheus-arabic-saudi",
    "groq/canopylabs/orpheus-v1-english",
    "huggingface/Qwen/Qwen3-Embedding-4B",
    "huggingface/Qwen/Qwen3-Embedding-8B",
    "mistral/voxtral-mini-latest",
    "openai/sora-2",
    "openai/sora-2-pro",
}
"""And so not listed: see `can_be_called`."""
MAKERS: dict[str, Callable[[Provider], Mapping[str, object]]] = {
    "speech": lambda provider: provider.speech,
    "image_generation": lambda provider: provider.images,
    "embeddings": lambda provider: provider.embeddings,
    "video_generation": lambda provider: provider.videos,
    "transcription": lambda provider: provider.transcriptions,
}


def test_every_row_can_be_called_for_what_it_offers_or_is_not_listed() -> None:
    for provider, row in every_row():
        if row.shutdown or "realtime" in row.capabilities or row.api == "completions":
            continue
        assert can_be_called(provider, row) is (f"{provider}/{row.id}" not in NOT_CALLED_YET), (provider, row.id)
        if not can_be_called(provider, row) or (row.api in provider_named(provider).wires and "text" in row.output):
            continue
        for capability in MAKERS.keys() & set(row.capabilities):
            assert row.api in MAKERS[capability](provider_named(provider)), (provider, row.id, capability)


def test_no_row_offers_what_its_provider_is_not_asked_for() -> None:
    """Also where it chats: of all that it can, only pictures come in a chat too."""
    for provider, row in every_row():
        if row.shutdown or not can_be_called(provider, row):
            continue
        wires = {name: of(provider_named(provider)) for name, of in MAKERS.items()}
        if "text" in row.output:
            del wires["image_generation"]
        for capability in wires.keys() & set(row.capabilities):
            assert row.api in wires[capability], (provider, row.id, capability)


def test_no_row_offers_batches_that_its_provider_does_not_take_in() -> None:
    for provider, row in every_row():
        if row.can("batch"):
            batches = provider_named(provider).batches
            assert {row.api} & {*batches.chat, *batches.embeddings, *batches.images}, (provider, row.id)
            assert BATCH_TIER in row.service_tiers, (provider, row.id)


UNPRICED_VOICES = {"google/gemini-3.8-live"}
"""Of its sound no price was found, and that of text alone would be too little."""


def test_every_voice_in_real_time_has_a_wire_and_a_price_of_its_sound() -> None:
    voices = [(p, row) for p, row in every_row() if "realtime" in row.capabilities]
    assert {p for p, _ in voices} == {"google", "openai"}
    for provider, row in voices:
        assert realtime_wire(provider_named(provider), row.api) is not None, (provider, row.id)
        prices = row.prices or Prices()
        is_priced = None not in (prices.input, prices.output, prices.input_audio, prices.output_audio)
        assert is_priced is (f"{provider}/{row.id}" not in UNPRICED_VOICES), (provider, row.id)


def test_a_spoken_turn_costs_what_is_printed() -> None:
    """A million tokens of each class of GPT-Realtime-2.1 mini: 0.60 + 0.06 + 10 + 0.30 + 2.40 + 20 USD."""
    million = 1_000_000
    usage = TokenUsage(
        prompt_tokens=4 * million,
        completion_tokens=2 * million,
        prompt=PromptTokensDetails(audio_tokens=2 * million, cached_tokens=2 * million, cached_audio_tokens=million),
        completion=CompletionTokensDetails(audio_tokens=million),
    )
    assert cost_nano_usd(usage, facts("openai", "gpt-realtime-2.1-mini")) == 33_360_000_000


def test_every_capability_is_looked_at() -> None:
    assert {one for one in vars(route).values() if isinstance(one, Capability)} == set(CAPABILITIES)


def test_what_is_not_charged_by_tokens_has_its_printed_price() -> None:
    """$0.000025 for 1,000 characters: https://cloud.google.com/vertex-ai/generative-ai/pricing"""
    row = facts("vertex", "text-embedding-005")
    assert [(price.unit, price.pico_usd_of(1_000)) for price in row.unit_prices] == [("characters", 25_000_000)]


def test_every_model_of_vectors_that_a_provider_can_make_has_a_wire_a_price_and_its_length() -> None:
    """Hugging Face's router has no such route."""
    for provider, row in every_row():
        if row.api not in EMBEDDING_APIS or provider == "huggingface":
            continue
        assert row.api in provider_named(provider).embeddings, (provider, row.id)
        assert row.embedding is not None, (provider, row.id)
        assert row.embedding.dimensions, (provider, row.id)
        assert cost_nano_usd(TokenUsage(prompt_tokens=1, units={"characters": 0}), row) is not None, (provider, row.id)


IMAGE_APIS = {"images", "imagen", "stability"}
UNPRICED_IMAGES = {"openai/chatgpt-image-latest", "openai/gpt-image-2.5-sunburst", "openai/gpt-image-2.5-flare"}
"""OpenAI's pages that were found name no price of theirs."""


def test_images_cost_what_is_printed() -> None:
    """One image each, of the kinds that the providers' own pages give a price for."""
    printed = {
        ("openai", "gpt-image-1", "1024x1536:high"): (6240, {}, "0.2496"),
        ("openai", "gpt-image-1-mini", "1024x1024:low"): (272, {}, "0.002176"),
        ("google", "gemini-3-pro-image", "4K"): (2000, {}, "0.24"),
        ("google", "gemini-3.1-flash-image", "1K"): (1120, {}, "0.0672"),
        ("xai", "grok-imagine-image", ""): (0, {"images:1k": 1}, "0.02"),
        ("xai", "grok-imagine-image-2.0", ""): (0, {"images:2k:medium": 1}, "0.08"),
        ("together", "black-forest-labs/FLUX.1-schnell", ""): (0, {"pixels": 1_000_000}, "0.0027"),
        ("bedrock", "stability.stable-image-ultra-v1:1", ""): (0, {"images": 1}, "0.14"),
        ("vertex", "imagen-4.0-ultra-generate-001", ""): (0, {"images": 1}, "0.06"),
    }
    for (provider, model, _), (tokens, units, usd) in printed.items():
        usage = TokenUsage(
            completion_tokens=tokens, completion=CompletionTokensDetails(image_tokens=tokens), units=units
        )
        cost = cost_nano_usd(usage, facts(provider, model))
        assert cost == Decimal(usd) * 10**9, (provider, model)


def test_every_maker_of_images_has_a_wire_a_price_and_what_can_be_asked_for() -> None:
    for provider, row in every_row():
        if row.api not in IMAGE_APIS and row.image is None:
            continue
        where = f"{provider}/{row.id}"
        assert "image_generation" in row.capabilities, where
        if row.shutdown is not None and row.image is None:
            continue
        assert row.api in provider_named(provider).images, where
        if where not in UNPRICED_IMAGES:
            assert row.image is not None, where
            call = ImagesCall(model=where, prompt="a", size=None)
            assert cost_nano_usd(usage_of(call, None, row), row), where


def test_a_shape_of_known_size_is_one_that_can_be_asked_for() -> None:
    for provider, row in every_row():
        if row.image is None:
            continue
        for text in row.image.shapes.values():
            shape = shape_of(text)
            assert shape is not None, (provider, row.id)
            assert shape.ratio in row.image.ratios, (provider, row.id)
            assert shape.resolution in (None, *row.image.resolutions), (provider, row.id)


PRINTED_USD_PER_SECOND = {
    ("google", "veo-3.1-generate-preview"): {"720p": "0.40", "1080p": "0.40", "4k": "0.60"},
    ("google", "veo-3.1-fast-generate-preview"): {"720p": "0.10", "1080p": "0.12", "4k": "0.30"},
    ("google", "veo-3.1-lite-generate-preview"): {"720p": "0.05", "1080p": "0.08"},
    ("xai", "grok-imagine-video"): {"480p": "0.05", "720p": "0.07"},
    ("runway", "gen4.5"): {"720p": "0.12"},
    ("runway", "gen4_turbo"): {"720p": "0.05"},
}


def test_every_model_of_videos_that_a_provider_can_make_has_a_wire_its_sizes_and_a_price_for_each() -> None:
    found = {}
    for provider, row in every_row():
        if row.api not in provider_named(provider).videos or "video_generation" not in row.capabilities:
            continue
        assert row.video is not None, (provider, row.id)
        assert row.video.default_seconds in row.video.seconds
        usd = {}
        for size in row.video.sizes:
            width, height = map(int, size.size.split("x"))
            assert set(size.seconds) <= set(row.video.seconds)
            across, down = map(int, size.aspect_ratio.split(":"))
            assert abs(width / height - across / down) < 0.02, size
            cost = cost_nano_usd(TokenUsage(units={f"video_ms:{size.resolution}": 1000}), row)
            assert cost is not None
            usd[size.resolution] = Decimal(cost) / NANO_PER_USD
        found[provider, row.id] = usd
    printed = {
        model: {name: Decimal(text) for name, text in by.items()} for model, by in PRINTED_USD_PER_SECOND.items()
    }
    assert found == printed
