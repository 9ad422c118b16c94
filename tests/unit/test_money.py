"""Cost is exact: compared with an independent computation in fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from gateway.model.catalog import ModelFacts, Prices, PriceTier, ServiceTier, UnitPrice
from gateway.model.money import Asked, DearestPrices, cost_nano_usd, dearest_prices, has_price_for, most_nano_usd
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


HEARD = Prices(input=3, output=0, cache_read=1, input_audio=10)


@pytest.mark.parametrize(
    ("cached_audio_tokens", "audio_tokens", "prices", "pico"),
    [
        (900, 1_000, HEARD, 900 * 1 + 100 * 10),
        (900, 1_000, Prices(input=3, output=0, cache_read=1, cache_read_audio=2, input_audio=10), 900 * 2 + 100 * 10),
        (900, 1_000, Prices(input=3, output=0, input_audio=10), 1_000 * 10),
        (100, 100, HEARD, 100 * 1 + 800 * 1 + 100 * 3),
        (0, 1_000, HEARD, 900 * 1 + 100 * 10),  # nobody said so, but there is no other room for the cached ones
        (0, 500, HEARD, 900 * 1 + 100 * 10),
        (0, 5_000, HEARD, 900 * 1 + 100 * 10),
    ],
)
def test_cached_audio_is_paid_once(cached_audio_tokens: int, audio_tokens: int, prices: Prices, pico: int) -> None:
    prompt = PromptTokensDetails(cached_tokens=900, audio_tokens=audio_tokens, cached_audio_tokens=cached_audio_tokens)
    usage = TokenUsage(prompt_tokens=1_000, prompt=prompt)
    assert cost_nano_usd(usage, facts(prices)) == math.ceil(Fraction(pico, 1000))


@pytest.mark.parametrize("written", [0, 5, 10])
@pytest.mark.parametrize("heard", [0, 5, 10, 30])
@pytest.mark.parametrize("cached", [0, 5, 10, 30])
@pytest.mark.parametrize("both", [0, 3, 10])
def test_no_more_tokens_are_paid_than_there_are(written: int, heard: int, cached: int, both: int) -> None:
    prompt = PromptTokensDetails(
        cached_tokens=cached, cache_write_tokens=written, audio_tokens=heard, cached_audio_tokens=both
    )
    completion = CompletionTokensDetails(reasoning_tokens=cached, audio_tokens=heard, image_tokens=written)
    usage = TokenUsage(prompt_tokens=10, completion_tokens=10, prompt=prompt, completion=completion)
    assert cost_nano_usd(usage, facts(Prices(input=1_000, output=1_000))) == 20


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


def priced(*prices: UnitPrice, tokens: Prices | None = None) -> ModelFacts:
    return ModelFacts(id="m", name="m", prices=tokens, unit_prices=prices)


WHISPER = UnitPrice(unit="audio_ms", pico_usd=6_000_000_000, per=60_000)
LARGE = UnitPrice(unit="images", variant="1024x1024:high", pico_usd=167_000_000_000)
SMALL = UnitPrice(unit="images", variant="1024x1024:low", pico_usd=11_000_000_000)


def test_units_cost_their_own_price() -> None:
    usage = TokenUsage(units={"audio_ms": 90_500, "images:1024x1024:high": 2})
    assert cost_nano_usd(usage, priced(WHISPER, LARGE)) == nano(
        Fraction("0.006") * 90_500 / 60_000 + 2 * Fraction("0.167")
    )


def test_units_are_paid_beside_tokens() -> None:
    """A fee for each web search, say."""
    usage = TokenUsage(prompt_tokens=10, completion_tokens=1, units={"web_searches": 3})
    search = UnitPrice(unit="web_searches", pico_usd=10_000_000_000)
    known = priced(search, tokens=Prices(input=1_000, output=2_000))
    assert cost_nano_usd(usage, known) == 12 + 3 * 10_000_000


REQUEST = UnitPrice(unit="requests", pico_usd=5_000_000_000)
TOKENS = Prices(input=1_000, output=1_000)


def test_an_answered_call_is_a_request() -> None:
    known = priced(REQUEST, tokens=TOKENS)
    assert cost_nano_usd(TokenUsage(prompt_tokens=7), known) == 7 + 5_000_000
    assert cost_nano_usd(TokenUsage(prompt_tokens=7, units={"requests": 3}), known) == 7 + 15_000_000
    assert most_nano_usd(known, TokenUsage(prompt_tokens=7)) == 7 + 5_000_000


def test_what_some_providers_charge_and_others_do_not_is_free_without_a_price() -> None:
    usage = TokenUsage(prompt_tokens=7, units={"web_searches": 3, "grounded_prompts": 1})
    grounded = UnitPrice(unit="grounded_prompts", pico_usd=35_000_000_000)
    assert cost_nano_usd(usage, facts(TOKENS)) == 7
    assert cost_nano_usd(usage, priced(grounded, tokens=TOKENS)) == 7 + 35_000_000


def test_a_part_of_a_pico_dollar_is_rounded_up_and_then_of_a_nano_dollar() -> None:
    """$0.0043 a minute is no whole number of pico-USD a millisecond."""
    deepgram = UnitPrice(unit="audio_ms", pico_usd=4_300_000_000, per=60_000)
    for milliseconds in (1, 59_999, 60_000, 12_345_678):
        exact = nano(Fraction("0.0043") * milliseconds / 60_000)
        assert cost_nano_usd(TokenUsage(units={"audio_ms": milliseconds}), priced(deepgram)) == exact


@pytest.mark.parametrize(
    ("units", "facts"),
    [
        ({"images:1024x1024:medium": 1}, priced(LARGE, SMALL)),
        ({"images": 1}, priced(LARGE)),
        ({"characters": 1}, priced(WHISPER)),
        ({"audio_ms": 1}, priced()),
    ],
)
def test_an_unknown_price_of_a_unit_is_none_never_zero(units: dict[str, int], facts: ModelFacts) -> None:
    assert cost_nano_usd(TokenUsage(units=units), facts) is None


def test_tokens_beside_units_need_a_price_unless_there_are_none() -> None:
    assert cost_nano_usd(TokenUsage(prompt_tokens=1, units={"audio_ms": 60_000}), priced(WHISPER)) is None
    assert cost_nano_usd(TokenUsage(units={"audio_ms": 60_000}), priced(WHISPER)) == 6_000_000
    assert cost_nano_usd(TokenUsage(), priced(WHISPER)) is None


def test_nothing_of_a_unit_costs_nothing() -> None:
    usage = TokenUsage(prompt_tokens=1, units={"web_searches": 0})
    assert cost_nano_usd(usage, facts(Prices(input=1_000, output=1_000))) == 1


def test_a_variant_without_a_price_costs_as_its_unit() -> None:
    any_image = UnitPrice(unit="images", pico_usd=20_000_000_000)
    assert cost_nano_usd(TokenUsage(units={"images:8x8": 1}), priced(any_image, LARGE)) == 20_000_000
    assert cost_nano_usd(TokenUsage(units={"images:1024x1024:high": 1}), priced(any_image, LARGE)) == 167_000_000


def test_the_most_that_units_can_cost_is_the_dearest_variant() -> None:
    known = priced(LARGE, SMALL)
    assert most_nano_usd(known, TokenUsage(units={"images": 3})) == 3 * 167_000_000
    assert most_nano_usd(known, TokenUsage(units={"images:1024x1024:low": 3})) == 3 * 11_000_000
    assert most_nano_usd(known, TokenUsage(units={"characters": 1})) is None
    assert most_nano_usd(known, TokenUsage(prompt_tokens=1, units={"images": 1})) is None


def test_the_most_is_never_less_than_the_cost() -> None:
    tier = PriceTier(above_prompt_tokens=5, prices=Prices(input=7, output=13))
    known = ModelFacts(
        id="m", name="m", prices=Prices(input=3, output=11), price_tiers=(tier,), unit_prices=(LARGE, SMALL)
    )
    for tokens in (1, 5, 6, 1_000_003):
        usage = TokenUsage(prompt_tokens=tokens, completion_tokens=tokens, units={"images:1024x1024:low": 2})
        most, cost = most_nano_usd(known, usage), cost_nano_usd(usage, known)
        assert most is not None
        assert cost is not None
        assert most >= cost


def test_usage_of_two_calls_together() -> None:
    one = TokenUsage(
        prompt_tokens=3,
        completion_tokens=1,
        prompt=PromptTokensDetails(cached_tokens=2),
        billed_prompt_tokens=1,
        units={"images:a": 1},
    )
    other = TokenUsage(
        prompt_tokens=5,
        completion=CompletionTokensDetails(reasoning_tokens=4),
        units={"images:a": 2, "requests": 1},
        estimated=True,
    )
    assert one + other == TokenUsage(
        prompt_tokens=8,
        completion_tokens=1,
        prompt=PromptTokensDetails(cached_tokens=2),
        completion=CompletionTokensDetails(reasoning_tokens=4),
        billed_prompt_tokens=6,
        units={"images:a": 3, "requests": 1},
        estimated=True,
    )


PLAIN = Prices(input=1_000_000, output=4_000_000)
TIERED = ModelFacts(
    id="m",
    name="m",
    prices=PLAIN,
    price_tiers=(PriceTier(above_prompt_tokens=1_000, prices=Prices(input=2_000_000, output=6_000_000)),),
    service_tiers={
        "flex": ServiceTier(prices=Prices(input=500_000, output=2_000_000)),
        "priority": ServiceTier(
            prices=Prices(input=3_000_000, output=12_000_000),
            price_tiers=(PriceTier(above_prompt_tokens=1_000, prices=Prices(input=5_000_000, output=20_000_000)),),
            unasked=True,
        ),
    },
    unit_prices=(
        UnitPrice(unit="requests", pico_usd=7_000),
        UnitPrice(unit="web_searches", pico_usd=10_000_000_000_000, per=1_000),
    ),
)


@pytest.mark.parametrize(
    ("tier", "prompt_tokens", "nano_usd"),
    [
        *((plain, 1_000, 1_000 * 1_000 + 10 * 4_000) for plain in (None, "default", "standard", "on_demand")),
        ("flex", 1_000, 1_000 * 500 + 10 * 2_000),
        ("flex", 1_001, 1_001 * 500 + 10 * 2_000),
        ("priority", 1_000, 1_000 * 3_000 + 10 * 12_000),
        ("priority", 1_001, 1_001 * 5_000 + 10 * 20_000),
        (None, 1_001, 1_001 * 2_000 + 10 * 6_000),
        ("scale", 1_000, 1_000 * 1_000 + 10 * 4_000),
    ],
)
def test_a_call_costs_what_the_tier_costs_that_served_it(tier: str | None, prompt_tokens: int, nano_usd: int) -> None:
    usage = TokenUsage(prompt_tokens=prompt_tokens, completion_tokens=10)
    assert cost_nano_usd(usage, TIERED, tier) == nano_usd + 7


def test_a_tier_without_a_price_is_known_as_such() -> None:
    assert [has_price_for(TIERED, tier) for tier in ("flex", "default", None, "scale")] == [True, True, True, False]


def test_searches_come_on_top() -> None:
    usage = TokenUsage(prompt_tokens=10, completion_tokens=1, units={"web_searches": 3, "grounded_prompts": 1})
    assert cost_nano_usd(usage, TIERED) == 10 * 1_000 + 4_000 + 7 + 3 * 10_000_000


def test_what_the_provider_states_is_the_cost() -> None:
    usage = TokenUsage(prompt_tokens=10, completion_tokens=1, units={"web_searches": 3}, stated_cost_nano_usd=5)
    assert cost_nano_usd(usage, TIERED, "priority") == 5
    assert cost_nano_usd(usage, facts(None)) == 5


@pytest.mark.parametrize(
    ("asked", "bound"),
    [
        (Asked(prompt_tokens=1_000, service_tier="default"), (1_000_000, 4_000_000, 7_000)),
        (Asked(prompt_tokens=1_001, service_tier="default"), (2_000_000, 6_000_000, 7_000)),
        (Asked(prompt_tokens=1_000), (3_000_000, 12_000_000, 7_000)),
        (Asked(prompt_tokens=1_001, service_tier="auto"), (5_000_000, 20_000_000, 7_000)),
        (Asked(prompt_tokens=1_000, service_tier="flex"), (1_000_000, 4_000_000, 7_000)),
        (Asked(prompt_tokens=1_000, service_tier="priority"), (3_000_000, 12_000_000, 7_000)),
        (Asked(prompt_tokens=1_000, service_tier="flex", calls=2), (1_000_000, 4_000_000, 20_000_007_000)),
    ],
)
def test_no_tier_that_can_serve_a_call_is_dearer(asked: Asked, bound: tuple[int, int, int]) -> None:
    assert dearest_prices(TIERED, asked) == DearestPrices(*bound)


def test_a_tier_that_nobody_knows_the_price_of_has_no_bound() -> None:
    assert dearest_prices(TIERED, Asked(prompt_tokens=1, service_tier="scale")) is None
    assert dearest_prices(facts(None), Asked(prompt_tokens=1)) is None
