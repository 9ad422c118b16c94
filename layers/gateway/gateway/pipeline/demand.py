"""The most that a call can use, before anybody knows what it will: an upper bound, never a guess.

Text has at most one token for each UTF-8 byte, because tokenizers work on bytes. A medium of unknown length counts as
all that the model can read.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts
from gateway.model.chat import (
    AssistantMessage,
    ChatCall,
    ImagePart,
    ImageUrlPart,
    InputAudioPart,
    Json,
    Message,
    Part,
    TextPart,
)
from gateway.model.errors import PriceUnknown
from gateway.model.limits import Allowance
from gateway.model.money import (
    BATCH_TIER,
    PICO_PER_NANO,
    Asked,
    DearestPrices,
    dearest_prices,
    has_price_for,
    most_nano_usd,
)
from gateway.model.tenant import Principal
from gateway.model.units import FEES
from gateway.model.usage import TokenUsage
from gateway.pipeline.meters import Demand, budgets_on, limits_on
from gateway.pipeline.route import AnyRoute, ChatRoute
from gateway.providers.contract import ServerWork
from gateway.providers.wire.options import NESTED, plain

TOKENS_PER_MESSAGE = 16
TOKENS_OF_TOOLS = 1_024
"""Providers put a text of their own before the tools they are given; Anthropic's is the longest, 804 tokens:
https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview#pricing (2026-11)."""
PLAINLY_PRICED: dict[str, tuple[Any, ...]] = {
    "speed": (None, "standard"),
    "inferencegeo": (None, "global"),
    "performanceconfig": (None, {}, {"latency": "standard"}),
}
"""Members of `provider_options` by which another price than the catalog's is paid, but for these values.

Sources: https://platform.claude.com/docs/en/build-with-claude/fast-mode,
https://platform.claude.com/docs/en/about-claude/pricing (data residency),
https://docs.aws.amazon.com/bedrock/latest/userguide/latency-optimized-inference.html (2026-11)
"""
UNKNOWN_CONTEXT_TOKENS = 1_000_000
UNKNOWN_OUTPUT_TOKENS = 4_096


def demand_of(
    call: ChatCall, route: ChatRoute, principal: Principal, lease_s: float, *, of_batch: bool = False
) -> tuple[ChatCall, Demand]:
    """What is held for a request is what its provider is told: where tokens or money are limited and the call does not
    say how long its reply may be, it says so afterwards. `of_batch`: whether its provider is given it in a batch.

    Raises PriceUnknown (400).
    """
    work = route.wire.server_work(call, call.options_for(route.provider.name))
    if money_is_limited(principal, route.model_id):
        call = _told(call, route, work)
        _refuse_unbounded(call, route, work)
    prompt_tokens = prompt_tokens_at_most(call, route.facts, reads_more=work.reads_more)
    paid_tokens = prompt_tokens * work.turns
    asked = replace(_asked(call, route, work, paid_tokens), of_batch=of_batch)
    prices = dearest_prices(route.facts, asked)
    if prices is None:
        _refuse_unpriced(route, principal, BATCH_TIER if of_batch else asked.service_tier)
    output_tokens = call.output_limit_tokens
    if output_tokens is None:
        output_tokens = route.facts.max_output_tokens or UNKNOWN_OUTPUT_TOKENS
        ceilings = [*_ceilings(principal, route.model_id, prompt_tokens, paid_tokens, prices)]
        if ceilings:
            told = principal.tenant.default_max_tokens or output_tokens
            output_tokens = max(1, min(output_tokens, told, min(ceilings) // (call.n or 1)))
            call = msgspec.structs.replace(call, max_tokens=output_tokens)
    completion_tokens = output_tokens * (call.n or 1)
    tokens = prompt_tokens + completion_tokens
    if prices is None:
        return call, Demand(route.model_id, tokens, 0, lease_s)
    cost_of = partial(prices.nano_usd, paid_tokens)
    by_reply = (completion_tokens, cost_of)
    return call, Demand(route.model_id, tokens, cost_of(completion_tokens), lease_s, cost_by_reply=by_reply)


def demand_at_most(
    usage: TokenUsage,
    route: AnyRoute,
    principal: Principal,
    lease_s: float,
    service_tier: str | None = None,
    *,
    of_batch: bool = False,
) -> Demand:
    """Of a call that uses no more than this, whatever it is for. Raises PriceUnknown (400)."""
    cost = most_nano_usd(route.facts, usage, service_tier, of_batch=of_batch)
    if cost is None:
        _refuse_unpriced(route, principal, BATCH_TIER if of_batch else service_tier)
        return Demand(route.model_id, usage.total_tokens, 0, lease_s)
    by_reply = (0, lambda _reply_tokens: cost)
    return Demand(route.model_id, usage.total_tokens, cost, lease_s, cost_by_reply=by_reply)


def demand_of_session(
    route: AnyRoute, principal: Principal, spent_nano_usd: int, context_tokens: int, output_tokens: int, lease_s: float
) -> Demand:
    """Of a session of voice that has cost so much, and may answer once more: with a conversation of at most so many
    tokens, and at most so many of its own, each as dear as sound or text is. Raises PriceUnknown (400).
    """
    prices = dearest_prices(route.facts, Asked(prompt_tokens=context_tokens, hears=True, speaks=True))
    if prices is None:
        _refuse_unpriced(route, principal, None)
        return Demand(route.model_id, context_tokens + output_tokens, 0, lease_s)
    cost_nano_usd = spent_nano_usd + prices.nano_usd(context_tokens, output_tokens)
    return Demand(route.model_id, context_tokens + output_tokens, cost_nano_usd, lease_s)


def _refuse_unpriced(route: AnyRoute, principal: Principal, service_tier: str | None) -> None:
    if not money_is_limited(principal, route.model_id):
        return
    of, param = route.model_id, "model"
    if route.facts.prices is not None and not has_price_for(route.facts, service_tier):
        of, param = f"{route.model_id} on service tier '{service_tier}'", "service_tier"
    raise PriceUnknown(f"The price of {of} is not known, and spending is limited here.", param=param)


def _told(call: ChatCall, route: ChatRoute, work: ServerWork) -> ChatCall:
    """Its provider is told how much work of its own is held for."""
    if not work.told:
        return call
    provider, others = route.provider.name, call.provider_options or {}
    options = {**others, provider: {**call.options_for(provider), **work.told}}
    return msgspec.structs.replace(call, provider_options=options)


def _refuse_unbounded(call: ChatCall, route: ChatRoute, work: ServerWork) -> None:
    """What may cost more than any price in the catalog says."""
    for what, param in _unbounded(call, route, work):
        raise PriceUnknown(f"What {what} can cost is not known, and spending is limited here.", param=param)


def _unbounded(call: ChatCall, route: ChatRoute, work: ServerWork) -> Iterator[tuple[str, str]]:
    """What it is, and the parameter that asks for it."""
    provider, agentic = route.provider.name, route.facts.agentic
    if agentic is not None and agentic.most_pico_usd is None:
        yield f"{route.model_id} does by itself", "model"
    # Perplexity's "pro" and "auto" search and read in many steps: https://docs.perplexity.ai/guides/pro-search-quickstart
    if (call.web_search_options or {}).get("search_type") not in (None, "fast"):
        yield "another type of search", "web_search_options.search_type"
    if work.searches and not any(price.unit in FEES for price in route.facts.unit_prices):
        asks = "web_search_options" if call.web_search_options is not None else f"provider_options.{provider}.tools"
        yield f"a search of {route.model_id}", asks
    if work.unbounded:
        yield f"'{work.unbounded}'", f"provider_options.{provider}.{work.unbounded}"
    for name in _dearer(call.options_for(provider)):
        yield f"'{name}'", f"provider_options.{provider}.{name}"


def _dearer(options: Json) -> Iterator[str]:
    for name, value in options.items():
        if plain(name) in PLAINLY_PRICED and value not in PLAINLY_PRICED[plain(name)]:
            yield name
        elif plain(name) in NESTED and isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _dearer(value))


def prompt_tokens_at_most(call: ChatCall, facts: ModelFacts, *, reads_more: bool = False) -> int:
    """`reads_more`: by tools of its provider's own, which may find anything for the model to read."""
    context_tokens = facts.context_tokens or UNKNOWN_CONTEXT_TOKENS
    if reads_more:
        return context_tokens
    tokens = sum(_message_tokens(message, facts, context_tokens) for message in call.messages)
    if call.tools:
        tokens += len(msgspec.json.encode(call.tools)) + TOKENS_OF_TOOLS
    tokens += call.options_bytes
    for document in (call.response_format, call.prediction):
        tokens += len(msgspec.json.encode(document)) if document else 0
    return min(tokens, context_tokens)


def _message_tokens(message: Message, facts: ModelFacts, context_tokens: int) -> int:
    tokens = TOKENS_PER_MESSAGE
    if isinstance(message, AssistantMessage):
        tokens += context_tokens if message.audio else 0  # said before, of which there is only the id
        tokens += sum(_earlier_tokens(entry, facts, context_tokens) for entry in message.media or ())
    if isinstance(message.content, list):
        tokens += sum(_medium_tokens(part, facts, context_tokens) for part in message.content)
        texts = [part for part in message.content if isinstance(part, TextPart)]
        message = msgspec.structs.replace(message, content=texts)
    return tokens + len(msgspec.json.encode(message))


def _earlier_tokens(entry: Json, facts: ModelFacts, context_tokens: int) -> int:
    """A medium of an earlier reply, of which there is only the id. A model that reads none is given none."""
    if facts.is_known and set(facts.input) <= {"text"}:
        return 0
    return (facts.image_tokens or context_tokens) if entry.get("type") == "image" else context_tokens


def _medium_tokens(part: Part, facts: ModelFacts, context_tokens: int) -> int:
    if isinstance(part, TextPart):
        return 0
    if isinstance(part, ImageUrlPart | ImagePart):
        return facts.image_tokens or context_tokens
    if isinstance(part, InputAudioPart):
        return len(part.input_audio.data)
    return context_tokens


def _ceilings(
    principal: Principal, model_id: str, prompt_tokens: int, paid_tokens: int, prices: DearestPrices | None
) -> Iterator[int]:
    """The longest reply that each limit can ever allow; none where nothing is limited. So a call is not refused for the
    length that its model could give. `paid_tokens`: of the prompt, in all turns.
    """
    for allowance, shards in _allowances(principal):
        for limits in limits_on(allowance, model_id):
            if limits.tokens_per_minute is not None:
                yield limits.tokens_per_minute // shards - prompt_tokens
        for budget in budgets_on(allowance, model_id):
            if prices is not None and prices.output_pico_usd:
                left_nano_usd = budget.nano_usd // shards - prices.nano_usd(paid_tokens, 0)
                yield left_nano_usd * PICO_PER_NANO // prices.output_pico_usd


def money_is_limited(principal: Principal, model_id: str) -> bool:
    if principal.tenant.allows_unpriced_models:
        return False
    return any(any(True for _ in budgets_on(allowance, model_id)) for allowance, _ in _allowances(principal))


def _allowances(principal: Principal) -> tuple[tuple[Allowance, int], tuple[Allowance, int]]:
    """With the number of parts that each is cut into."""
    return (principal.tenant.allowance, principal.tenant.shards), (principal.allowance, principal.user.shards)


def _asked(call: ChatCall, route: ChatRoute, work: ServerWork, prompt_tokens: int) -> Asked:
    parts = [part for message in call.messages if isinstance(message.content, list) for part in message.content]
    caches = [getattr(part, "cache_control", None) or {} for part in (*parts, *(call.tools or ()))]
    return Asked(
        prompt_tokens=prompt_tokens,
        hears=any(not isinstance(part, TextPart | ImageUrlPart | ImagePart) for part in parts),
        speaks="audio" in (call.modalities or ()) or bool(call.provider_options),
        caches_long=bool(call.provider_options) or any(cache.get("ttl") == "1h" for cache in caches),
        service_tier=_tier(call, route),
        calls=work.searches,
    )


def _tier(call: ChatCall, route: ChatRoute) -> str | None:
    """The options are laid over the call, so they have the last word."""
    options = call.options_for(route.provider.name)
    named = options.get("service_tier", options.get("serviceTier"))
    named = named.get("type") if isinstance(named, dict) else named
    return named if isinstance(named, str) else call.service_tier
