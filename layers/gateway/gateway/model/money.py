"""What a reply costs, in exact integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.catalog import ModelFacts, Prices
from gateway.model.units import FEES, REQUESTS, UnitName
from gateway.model.usage import TokenUsage

PICO_PER_NANO = 1_000
NANO_PER_USD = 1_000_000_000


def usd_text(nano_usd: int) -> str:
    """Exact, as a decimal number without needless zeros: "0.000012", "5"."""
    whole, rest = divmod(abs(nano_usd), NANO_PER_USD)
    text = f"{whole}.{rest:09}".rstrip("0").rstrip(".")
    return f"-{text}" if nano_usd < 0 else text


def prices_for(facts: ModelFacts, prompt_tokens: int) -> Prices | None:
    """The prices of a call with a prompt of this length: of the highest tier it exceeds, else the plain ones."""
    tiers = [tier for tier in facts.price_tiers if prompt_tokens > tier.above_prompt_tokens]
    return max(tiers, key=lambda tier: tier.above_prompt_tokens).prices if tiers else facts.prices


def cost_nano_usd(usage: TokenUsage, facts: ModelFacts) -> int | None:
    """Cost in nano-USD (10^-9 USD), rounded up once; None when a price that is needed is unknown.

    A class of tokens without a price of its own is paid as the class it is part of: cache and audio input as input,
    reasoning, audio and image output as output, one-hour cache writes as cache writes. Of each unit, whole pico-USD are
    paid.
    """
    tokens, units = _tokens_pico_usd(usage, facts), units_pico_usd(usage.units, facts)
    return None if tokens is None or units is None else -(-(tokens + units) // PICO_PER_NANO)


def units_pico_usd(units: Mapping[UnitName, int], facts: ModelFacts, *, at_most: bool = False) -> int | None:
    """Of an answered call. A variant without a price of its own is paid as its unit; `at_most`: as the dearest variant,
    where there is no price for all. None when a price that is needed is unknown.
    """
    total = 0
    for name, count in {REQUESTS: 1, **units}.items():
        unit, _, variant = name.partition(":")
        by_variant = {price.variant: price for price in facts.unit_prices if price.unit == unit}
        if not count or (unit in FEES and not by_variant):
            continue
        price = by_variant.get(variant) or by_variant.get("")
        if price is None and not (at_most and by_variant):
            return None
        total += max(price.pico_usd_of(count) for price in ([price] if price else by_variant.values()))
    return total


def _tokens_pico_usd(usage: TokenUsage, facts: ModelFacts) -> int | None:
    """Tokens are free of charge where none were counted and the model is paid by units."""
    prices = prices_for(facts, usage.prompt_tokens)
    if prices is None or prices.input is None or prices.output is None:
        return 0 if usage.units and not usage.total_tokens else None
    return _prompt_pico_usd(usage, prices, prices.input) + _completion_pico_usd(usage, prices, prices.output)


@dataclass(frozen=True, slots=True)
class DearestPrices:
    """Pico-USD per token, no token of a call costs more."""

    input_pico_usd: int
    output_pico_usd: int

    def nano_usd(self, prompt_tokens: int, completion_tokens: int, units_pico_usd: int = 0) -> int:
        """Rounded up once."""
        pico = prompt_tokens * self.input_pico_usd + completion_tokens * self.output_pico_usd + units_pico_usd
        return -(-pico // PICO_PER_NANO)


FREE_TOKENS = DearestPrices(0, 0)


def most_nano_usd(facts: ModelFacts, usage: TokenUsage) -> int | None:
    """The most that a call can cost that uses no more than this; None when a price that is needed is unknown."""
    prices = dearest_prices(facts) or (FREE_TOKENS if usage.units and not usage.total_tokens else None)
    units = units_pico_usd(usage.units, facts, at_most=True)
    if prices is None or units is None:
        return None
    return prices.nano_usd(usage.prompt_tokens, usage.completion_tokens, units)


def dearest_prices(
    facts: ModelFacts, *, hears: bool = False, speaks: bool = False, caches_long: bool = False
) -> DearestPrices | None:
    """Over all tiers and the classes that can come up: audio heard and spoken, one-hour cache writes."""
    tiers = [prices for prices in (facts.prices, *(tier.prices for tier in facts.price_tiers)) if prices is not None]
    if not tiers or any(prices.input is None or prices.output is None for prices in tiers):
        return None
    heard = ("input_audio",) if hears else ()
    cached = ("cache_write_1h",) if caches_long else ()
    spoken = ("output_audio",) if speaks else ()
    return DearestPrices(
        _dearest(tiers, "input", "cache_read", "cache_write", *heard, *cached),
        _dearest(tiers, "output", "output_image", "reasoning", *spoken),
    )


def _dearest(tiers: list[Prices], *classes: str) -> int:
    return max(getattr(prices, name) or 0 for prices in tiers for name in classes)


def _prompt_pico_usd(usage: TokenUsage, prices: Prices, per_input: int) -> int:
    if usage.billed_prompt_tokens is not None:
        return usage.billed_prompt_tokens * per_input
    part = usage.prompt
    cache_write = per_input if prices.cache_write is None else prices.cache_write
    classes = (
        (part.cached_tokens, prices.cache_read, per_input),
        (part.cache_write_tokens - part.cache_write_1h_tokens, cache_write, per_input),
        (part.cache_write_1h_tokens, prices.cache_write_1h, cache_write),
        (part.audio_tokens, prices.input_audio, per_input),
    )
    return _pico_usd(usage.prompt_tokens, classes, per_input)


def _completion_pico_usd(usage: TokenUsage, prices: Prices, per_output: int) -> int:
    if usage.billed_completion_tokens is not None:
        return usage.billed_completion_tokens * per_output
    part = usage.completion
    classes = (
        (part.reasoning_tokens, prices.reasoning, per_output),
        (part.audio_tokens, prices.output_audio, per_output),
        (part.image_tokens, prices.output_image, per_output),
    )
    return _pico_usd(usage.completion_tokens, classes, per_output)


def _pico_usd(total: int, classes: tuple[tuple[int, int | None, int], ...], otherwise: int) -> int:
    """`classes`: (tokens, own price, price without one); what they leave of `total` costs `otherwise`."""
    own = sum(tokens * (fallback if price is None else price) for tokens, price, fallback in classes)
    rest = max(0, total - sum(tokens for tokens, _, _ in classes))
    return own + rest * otherwise
