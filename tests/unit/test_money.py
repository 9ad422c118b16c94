"""Cost is exact: compared with an independent computation in fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from gateway.model.catalog import ModelFacts, Prices, PriceTier
from gateway.model.money import cost_nano_usd
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage

PICO = Fraction(1, 10**12)


def facts(prices: Prices | None, *tiers: PriceTier) -> ModelFacts:
    return ModelFacts(id="m", name="m", prices=prices, price_tiers=tiers)


def nano(usd: Fraction) -> int:
    return math.ceil(usd * 10**9)


def test_plain_tokens_cost_tokens_times_price() -> None:
    usage = TokenUsage(prompt_tokens=1_234, completion_tokens=567)
    prices = Prices(input=2_500_000, output=10_000_000)
    assert cost_nano_usd(usage, facts(prices)) == nano((1_234 * 2_500_000 + 567 * 10_000_000) * PICO)


def test_each_class_has_its_own_price() -> None:
    usage = TokenUsage(
        prompt_tokens=1_000,
        completion_tokens=500,
        prompt=PromptTokensDetails(
            cached_tokens=300, cache_write_tokens=200, cache_write_1h_tokens=50, audio_tokens=10
        ),
        completion=CompletionTokensDetails(reasoning_tokens=100, audio_tokens=20),
    )
    prices = Prices(
        input=7,
        output=11,
        cache_read=1,
        cache_write=13,
        cache_write_1h=17,
        reasoning=19,
        input_audio=23,
        output_audio=29,
    )
    pico = 300 * 1 + 150 * 13 + 50 * 17 + 10 * 23 + 490 * 7 + 100 * 19 + 20 * 29 + 380 * 11
    assert cost_nano_usd(usage, facts(prices)) == math.ceil(Fraction(pico, 1000))


def test_a_class_without_a_price_is_paid_as_what_it_is_part_of() -> None:
    usage = TokenUsage(
        prompt_tokens=100,
        completion_tokens=50,
        prompt=PromptTokensDetails(cached_tokens=40, cache_write_tokens=30, cache_write_1h_tokens=10),
        completion=CompletionTokensDetails(reasoning_tokens=25),
    )
    plain = TokenUsage(prompt_tokens=100, completion_tokens=50)
    known = facts(Prices(input=3_000_000, output=15_000_000))
    assert cost_nano_usd(usage, known) == cost_nano_usd(plain, known)


def test_a_long_prompt_pays_the_highest_tier_it_exceeds() -> None:
    tiers = (
        PriceTier(above_prompt_tokens=128_000, prices=Prices(input=2_000, output=2_000)),
        PriceTier(above_prompt_tokens=200_000, prices=Prices(input=5_000, output=5_000)),
    )
    known = facts(Prices(input=1_000, output=1_000), *tiers)
    costs = [cost_nano_usd(TokenUsage(prompt_tokens=tokens), known) for tokens in (128_000, 128_001, 200_001)]
    assert costs == [128_000, 256_002, 1_000_005]


@pytest.mark.parametrize("prices", [None, Prices(input=1), Prices(output=1)])
def test_an_unknown_price_is_none_never_zero(prices: Prices | None) -> None:
    assert cost_nano_usd(TokenUsage(prompt_tokens=1, completion_tokens=1), facts(prices)) is None


def test_a_free_model_costs_zero() -> None:
    assert cost_nano_usd(TokenUsage(prompt_tokens=5, completion_tokens=5), facts(Prices(input=0, output=0))) == 0


def test_a_fraction_of_a_nano_dollar_is_rounded_up_once() -> None:
    assert cost_nano_usd(TokenUsage(prompt_tokens=1, completion_tokens=1), facts(Prices(input=1, output=1))) == 1


def test_a_provider_that_bills_other_numbers_is_paid_those() -> None:
    """Cohere counts a template of its own among the tokens and does not charge for it."""
    usage = TokenUsage(prompt_tokens=1_563, completion_tokens=60, billed_prompt_tokens=47, billed_completion_tokens=12)
    assert cost_nano_usd(usage, facts(Prices(input=2_000, output=3_000))) == 47 * 2 + 12 * 3
