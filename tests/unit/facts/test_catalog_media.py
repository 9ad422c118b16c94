"""What the catalog states of voices, images and videos: wires, sizes and prices as printed."""

from __future__ import annotations

from decimal import Decimal

from gateway.model.catalog import Prices
from gateway.model.image_size import shape_of
from gateway.model.images import ImagesCall
from gateway.model.money import NANO_PER_USD, cost_nano_usd
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.pipeline.images_usage import usage_of
from gateway.providers.lookup import provider_named, realtime_wire
from tests.unit.facts.rows import every_row, facts

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
