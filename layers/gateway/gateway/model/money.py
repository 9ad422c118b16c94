"""What a reply costs, in exact integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from gateway.model.catalog import ModelFacts, Prices, PriceTier, ServiceTier
from gateway.model.units import FEES, REQUESTS, UnitName
from gateway.model.usage import TokenUsage

PICO_PER_NANO = 1_000
NANO_PER_USD = 1_000_000_000


def usd_text(nano_usd: int) -> str:
    """Exact, as a decimal number without needless zeros: "0.000012", "5"."""
    whole, rest = divmod(abs(nano_usd), NANO_PER_USD)
    text = f"{whole}.{rest:09}".rstrip("0").rstrip(".")
    return f"-{text}" if nano_usd < 0 else text


BATCH_TIER = "batch"
"""The service tier whose prices a batch has: what a reply out of one says, and the key in a catalog row."""
PLAIN_TIERS = (None, "", "auto", "default", "standard", "standard_only", "on_demand")
"""What providers call the tier of the plain prices; "auto" is no tier, but a choice left to the account."""


def prices_for(facts: ModelFacts, prompt_tokens: int, service_tier: str | None = None) -> Prices | None:
    """The prices of a call with a prompt of this length: of the highest threshold it exceeds, else the plain ones.

    `service_tier`: that served it. Of one that the catalog does not know the plain prices are taken.
    """
    plain, long = facts.prices, facts.price_tiers
    if served := facts.service_tiers.get(service_tier or ""):
        plain, long = served.prices, served.price_tiers
    exceeded = [tier for tier in long if prompt_tokens > tier.above_prompt_tokens]
    return max(exceeded, key=lambda tier: tier.above_prompt_tokens).prices if exceeded else plain


def has_price_for(facts: ModelFacts, service_tier: str | None) -> bool:
    """Whether the catalog knows what this tier costs, or that it costs the same."""
    return service_tier in PLAIN_TIERS or service_tier in facts.service_tiers


def cost_nano_usd(usage: TokenUsage, facts: ModelFacts, service_tier: str | None = None) -> int | None:
    """Cost in nano-USD (10^-9 USD), rounded up once; None when a price that is needed is unknown.

    What the provider states itself is the cost. Else a class of tokens without a price of its own is paid as the class
    it is part of: cache and audio input as input, cached audio as cache, reasoning, audio and image output as output,
    one-hour cache writes as cache writes; and what is charged by another measure comes on top. Of each unit, whole
    pico-USD are paid.
    """
    if usage.stated_cost_nano_usd is not None:
        return usage.stated_cost_nano_usd
    tokens, units = _tokens_pico_usd(usage, facts, service_tier), units_pico_usd(usage.units, facts)
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


def _tokens_pico_usd(usage: TokenUsage, facts: ModelFacts, service_tier: str | None) -> int | None:
    """Tokens are free of charge where none were counted and the model is paid by units."""
    prices = prices_for(facts, usage.prompt_tokens, service_tier)
    if prices is None or prices.input is None or prices.output is None:
        return 0 if usage.units and not usage.total_tokens else None
    return _prompt_pico_usd(usage, prices, prices.input) + _completion_pico_usd(usage, prices, prices.output)


class DearestPrices(Struct, frozen=True):
    """Pico-USD per token, no token of a call costs more. `units_pico_usd`: the most it can cost beside tokens."""

    input_pico_usd: int
    output_pico_usd: int
    units_pico_usd: int = 0

    def nano_usd(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Rounded up once."""
        pico = prompt_tokens * self.input_pico_usd + completion_tokens * self.output_pico_usd + self.units_pico_usd
        return -(-pico // PICO_PER_NANO)


class Asked(Struct, frozen=True):
    """What of a call decides which prices can come up: audio heard and spoken, one-hour cache writes, the tier that it
    names, how long its prompt can be, and how many paid calls the provider may make for it. `of_batch`: whether its
    provider is given it in a batch, which is served on one tier alone.
    """

    prompt_tokens: int

    hears: bool = False
    speaks: bool = False
    caches_long: bool = False
    service_tier: str | None = None
    calls: int = 0
    of_batch: bool = False


def most_nano_usd(
    facts: ModelFacts, usage: TokenUsage, service_tier: str | None = None, *, of_batch: bool = False
) -> int | None:
    """The most that a call can cost that uses no more than this; None when a price that is needed is unknown."""
    asked = Asked(prompt_tokens=usage.prompt_tokens, service_tier=service_tier, of_batch=of_batch)
    tokens = _dearest_tokens(facts, asked)
    if tokens is None and usage.units and not usage.total_tokens:
        tokens = (0, 0)
    units = units_pico_usd(usage.units, facts, at_most=True)
    if tokens is None or units is None:
        return None
    return DearestPrices(*tokens, units).nano_usd(usage.prompt_tokens, usage.completion_tokens)


def dearest_prices(facts: ModelFacts, asked: Asked) -> DearestPrices | None:
    """Over the tiers that can serve the call, the prompt lengths and the classes of tokens that can come up.

    What the model may do by itself is in it, as far as that has a bound.

    None when one of them is unknown. A tier that is asked for may be full, so the plain prices always can come up.
    """
    tokens = _dearest_tokens(facts, asked)
    if tokens is None:
        return None
    alone = (facts.agentic and facts.agentic.most_pico_usd) or 0
    return DearestPrices(*tokens, _most_fees_pico_usd(facts, asked.calls) + alone)


def _dearest_tokens(facts: ModelFacts, asked: Asked) -> tuple[int, int] | None:
    known = [*_that_can_come_up(facts, asked)]
    if not known or any(prices.input is None or prices.output is None for prices in known):
        return None
    heard = ("input_audio", "cache_read_audio") if asked.hears else ()
    cached = ("cache_write_1h",) if asked.caches_long else ()
    spoken = ("output_audio",) if asked.speaks else ()
    return (
        _dearest(known, "input", "cache_read", "cache_write", *heard, *cached),
        _dearest(known, "output", "output_image", "reasoning", *spoken),
    )


def _that_can_come_up(facts: ModelFacts, asked: Asked) -> Iterator[Prices]:
    """Prices, as far as they are known."""
    if asked.of_batch:
        can = [facts.service_tiers[BATCH_TIER]] if BATCH_TIER in facts.service_tiers else []
    elif has_price_for(facts, asked.service_tier):
        tiers = facts.service_tiers.items()
        can = [tier for name, tier in tiers if name == asked.service_tier or _is_unasked(tier, asked)]
        if facts.prices is not None:
            yield facts.prices
        yield from _reached(facts.price_tiers, asked)
    else:
        can = []
    for tier in can:
        yield tier.prices
        yield from _reached(tier.price_tiers, asked)


def _reached(tiers: tuple[PriceTier, ...], asked: Asked) -> list[Prices]:
    return [tier.prices for tier in tiers if asked.prompt_tokens > tier.above_prompt_tokens]


def _is_unasked(tier: ServiceTier, asked: Asked) -> bool:
    return tier.unasked and asked.service_tier in (None, "", "auto")


def _most_fees_pico_usd(facts: ModelFacts, calls: int) -> int:
    """Of a request, and of as many of the dearest paid calls that the provider may make for it."""
    by_unit = (units_pico_usd({unit: calls, REQUESTS: 0}, facts, at_most=True) or 0 for unit in FEES - {REQUESTS})
    return (units_pico_usd({}, facts, at_most=True) or 0) + max(by_unit)


def _dearest(sets: list[Prices], *classes: str) -> int:
    return max(getattr(prices, name) or 0 for prices in sets for name in classes)


def _prompt_pico_usd(usage: TokenUsage, prices: Prices, per_input: int) -> int:
    if usage.billed_prompt_tokens is not None:
        return usage.billed_prompt_tokens * per_input
    part, cached_audio = usage.prompt, _cached_audio(usage)
    heard = per_input if prices.input_audio is None else prices.input_audio
    cache_read = prices.cache_read
    cache_write = per_input if prices.cache_write is None else prices.cache_write
    classes = (
        (cached_audio, prices.cache_read_audio, heard if cache_read is None else cache_read),
        (part.cached_tokens - cached_audio, cache_read, per_input),
        (part.cache_write_tokens - part.cache_write_1h_tokens, cache_write, per_input),
        (part.cache_write_1h_tokens, prices.cache_write_1h, cache_write),
        (part.audio_tokens - cached_audio, heard, per_input),
    )
    return _pico_usd(usage.prompt_tokens, classes, per_input)


def _cached_audio(usage: TokenUsage) -> int:
    """As the provider says, and at least what cache and audio have too many: they are told apart by few."""
    part = usage.prompt
    overlap = part.cached_tokens + part.cache_write_tokens + part.audio_tokens - usage.prompt_tokens
    return min(max(part.cached_audio_tokens, overlap, 0), part.cached_tokens, part.audio_tokens)


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
    """`classes`: (tokens, own price, price without one); what they leave of `total` costs `otherwise`, and no more than
    `total` is paid.
    """
    paid, left = 0, max(0, total)
    for tokens, price, fallback in classes:
        counted = max(0, min(tokens, left))
        paid += counted * (fallback if price is None else price)
        left -= counted
    return paid + left * otherwise
