"""What a reply costs, in exact integers."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.catalog import ModelFacts, Prices
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
    reasoning and audio output as output, one-hour cache writes as cache writes.
    """
    prices = prices_for(facts, usage.prompt_tokens)
    if prices is None or prices.input is None or prices.output is None:
        return None
    pico = _prompt_pico_usd(usage, prices, prices.input) + _completion_pico_usd(usage, prices, prices.output)
    return -(-pico // PICO_PER_NANO)


@dataclass(frozen=True, slots=True)
class DearestPrices:
    """Pico-USD per token, no token of a call costs more."""

    input_pico_usd: int
    output_pico_usd: int

    def nano_usd(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Rounded up once."""
        pico = prompt_tokens * self.input_pico_usd + completion_tokens * self.output_pico_usd
        return -(-pico // PICO_PER_NANO)


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
        _dearest(tiers, "output", "reasoning", *spoken),
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
    )
    return _pico_usd(usage.completion_tokens, classes, per_output)


def _pico_usd(total: int, classes: tuple[tuple[int, int | None, int], ...], otherwise: int) -> int:
    """`classes`: (tokens, own price, price without one); what they leave of `total` costs `otherwise`."""
    own = sum(tokens * (fallback if price is None else price) for tokens, price, fallback in classes)
    rest = max(0, total - sum(tokens for tokens, _, _ in classes))
    return own + rest * otherwise
