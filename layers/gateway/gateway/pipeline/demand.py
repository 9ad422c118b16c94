"""The most that a call can use, before anybody knows what it will: an upper bound, never a guess.

Text has at most one token for each UTF-8 byte, because tokenizers work on bytes. A medium of unknown length counts as
all that the model can read.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import (
    AssistantMessage,
    ChatCall,
    ImagePart,
    ImageUrlPart,
    InputAudioPart,
    Message,
    Part,
    TextPart,
)
from gateway.model.errors import PriceUnknown
from gateway.model.limits import Allowance
from gateway.model.money import PICO_PER_NANO, DearestPrices, dearest_prices, most_nano_usd
from gateway.model.tenant import Principal
from gateway.model.usage import TokenUsage
from gateway.pipeline.meters import Demand, budgets_on, limits_on
from gateway.pipeline.route import AnyRoute, ChatRoute

TOKENS_PER_MESSAGE = 16
TOKENS_OF_TOOLS = 1_024
"""Providers put a text of their own before the tools they are given; Anthropic's is the longest, 804 tokens:
https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview#pricing (2026-11)."""
UNKNOWN_CONTEXT_TOKENS = 1_000_000
UNKNOWN_OUTPUT_TOKENS = 4_096


def demand_of(call: ChatCall, route: ChatRoute, principal: Principal, lease_s: float) -> tuple[ChatCall, Demand]:
    """What is held for a request is what its provider is told: where tokens or money are limited and the call does not
    say how long its reply may be, it says so afterwards.

    Raises PriceUnknown (400).
    """
    prices = dearest_prices(route.facts, **_dearer_classes(call))
    if prices is None:
        _refuse_unpriced(route, principal)
    prompt_tokens = prompt_tokens_at_most(call, route.facts)
    output_tokens = call.output_limit_tokens
    if output_tokens is None:
        output_tokens = route.facts.max_output_tokens or UNKNOWN_OUTPUT_TOKENS
        ceilings = [*_ceilings(principal, route.model_id, prompt_tokens, prices)]
        if ceilings:
            told = principal.tenant.default_max_tokens or output_tokens
            output_tokens = max(1, min(output_tokens, told, min(ceilings) // (call.n or 1)))
            call = msgspec.structs.replace(call, max_tokens=output_tokens)
    completion_tokens = output_tokens * (call.n or 1)
    cost = 0 if prices is None else prices.nano_usd(prompt_tokens, completion_tokens)
    return call, Demand(route.model_id, prompt_tokens + completion_tokens, cost, lease_s)


def demand_at_most(usage: TokenUsage, route: AnyRoute, principal: Principal, lease_s: float) -> Demand:
    """Of a call that uses no more than this, whatever it is for. Raises PriceUnknown (400)."""
    cost = most_nano_usd(route.facts, usage)
    if cost is None:
        _refuse_unpriced(route, principal)
    return Demand(route.model_id, usage.total_tokens, cost or 0, lease_s)


def _refuse_unpriced(route: AnyRoute, principal: Principal) -> None:
    if _money_is_limited(principal, route.model_id):
        raise PriceUnknown(f"The price of {route.model_id} is not known, and spending is limited here.", param="model")


def prompt_tokens_at_most(call: ChatCall, facts: ModelFacts) -> int:
    context_tokens = facts.context_tokens or UNKNOWN_CONTEXT_TOKENS
    if call.web_search_options is not None:
        return context_tokens  # what is found is read by the model too
    tokens = sum(_message_tokens(message, facts, context_tokens) for message in call.messages)
    if call.tools:
        tokens += len(msgspec.json.encode(call.tools)) + TOKENS_OF_TOOLS
    for document in (call.response_format, call.provider_options, call.prediction):
        tokens += len(msgspec.json.encode(document)) if document else 0
    return min(tokens, context_tokens)


def _message_tokens(message: Message, facts: ModelFacts, context_tokens: int) -> int:
    tokens = TOKENS_PER_MESSAGE
    if isinstance(message, AssistantMessage) and message.audio:
        tokens += context_tokens  # something that was said before, of which there is only the id
    if isinstance(message.content, list):
        tokens += sum(_medium_tokens(part, facts, context_tokens) for part in message.content)
        texts = [part for part in message.content if isinstance(part, TextPart)]
        message = msgspec.structs.replace(message, content=texts)
    return tokens + len(msgspec.json.encode(message))


def _medium_tokens(part: Part, facts: ModelFacts, context_tokens: int) -> int:
    if isinstance(part, TextPart):
        return 0
    if isinstance(part, ImageUrlPart | ImagePart):
        return facts.image_tokens or context_tokens
    if isinstance(part, InputAudioPart):
        return len(part.input_audio.data)
    return context_tokens


def _ceilings(principal: Principal, model_id: str, prompt_tokens: int, prices: DearestPrices | None) -> Iterator[int]:
    """The longest reply that each limit can ever allow; none where nothing is limited. So a call is not refused for the
    length that its model could give.
    """
    for allowance, shards in _allowances(principal):
        for limits in limits_on(allowance, model_id):
            if limits.tokens_per_minute is not None:
                yield limits.tokens_per_minute // shards - prompt_tokens
        for budget in budgets_on(allowance, model_id):
            if prices is not None and prices.output_pico_usd:
                left_nano_usd = budget.nano_usd // shards - prices.nano_usd(prompt_tokens, 0)
                yield left_nano_usd * PICO_PER_NANO // prices.output_pico_usd


def _money_is_limited(principal: Principal, model_id: str) -> bool:
    if principal.tenant.allows_unpriced_models:
        return False
    return any(any(True for _ in budgets_on(allowance, model_id)) for allowance, _ in _allowances(principal))


def _allowances(principal: Principal) -> tuple[tuple[Allowance, int], tuple[Allowance, int]]:
    """With the number of parts that each is cut into."""
    return (principal.tenant.allowance, principal.tenant.shards), (principal.allowance, principal.user.shards)


def _dearer_classes(call: ChatCall) -> dict[str, bool]:
    """Which of the dearer classes of tokens can come up."""
    parts = [part for message in call.messages if isinstance(message.content, list) for part in message.content]
    caches = [getattr(part, "cache_control", None) or {} for part in (*parts, *(call.tools or ()))]
    hears = any(not isinstance(part, TextPart | ImageUrlPart | ImagePart) for part in parts)
    return {
        "hears": hears,
        "speaks": "audio" in (call.modalities or ()),
        "caches_long": bool(call.provider_options) or any(cache.get("ttl") == "1h" for cache in caches),
    }
