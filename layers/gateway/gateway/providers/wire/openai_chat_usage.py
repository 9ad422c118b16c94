"""Token counts and other figures of an OpenAI-shaped answer.

Source: https://platform.openai.com/docs/api-reference/chat/object (2026-11)
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from gateway.model.chat import Json
from gateway.model.money import NANO_PER_USD
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.providers.wire.openai_chat_quirks import Quirks


def token_usage(raw: Any, quirks: Quirks) -> TokenUsage | None:
    """None when the provider gave no figures. Parts never exceed their whole."""
    if not isinstance(raw, dict) or not ("prompt_tokens" in raw or "completion_tokens" in raw):
        return None
    prompt, completion = _count(raw, "prompt_tokens"), _count(raw, "completion_tokens")
    prompt_parts, completion_parts = _parts(raw, "prompt_tokens_details"), _parts(raw, "completion_tokens_details")
    reasoning = _count(completion_parts, "reasoning_tokens") or _count(raw, "reasoning_tokens")
    # xAI, and Google behind OpenAI's shape, leave reasoning out of completion_tokens but not out of total_tokens;
    # Mistral does so with the audio of the prompt. (The recorded figures add up only that way.)
    uncounted = max(0, _count(raw, "total_tokens") - prompt - completion)
    if quirks.uncounted == "prompt":
        prompt += uncounted
    else:
        completion += uncounted
        reasoning = max(reasoning, uncounted)
    if quirks.reasoning_apart:
        completion += reasoning
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        prompt=_prompt_details(raw, prompt_parts, prompt, quirks),
        completion=CompletionTokensDetails(
            reasoning_tokens=min(reasoning, completion),
            audio_tokens=min(_count(completion_parts, "audio_tokens"), completion),
            image_tokens=min(_count(completion_parts, "image_tokens"), completion),
            accepted_prediction_tokens=_count(completion_parts, "accepted_prediction_tokens"),
            rejected_prediction_tokens=_count(completion_parts, "rejected_prediction_tokens"),
        ),
        stated_cost_nano_usd=_stated_cost_nano_usd(raw, quirks),
    )


def _prompt_details(raw: Json, parts: Json, prompt: int, quirks: Quirks) -> PromptTokensDetails:
    cached = _count(parts, "cached_tokens") or _count(raw, quirks.cached_tokens)
    return PromptTokensDetails(
        cached_tokens=min(cached, prompt),
        cache_write_tokens=min(_count(parts, "cache_write_tokens"), prompt),
        audio_tokens=min(_count(parts, "audio_tokens"), prompt),
        image_tokens=min(_count(parts, "image_tokens"), prompt),
        video_tokens=min(_count(parts, "video_tokens"), prompt),
    )


def provider_cost(raw: Any, quirks: Quirks) -> Json:
    """`{"cost_usd": …}` where the provider states its own price of the answer."""
    stated = _stated(raw, quirks)
    return {} if stated is None else {"cost_usd": stated / quirks.cost_per_usd}


def _stated_cost_nano_usd(raw: Json, quirks: Quirks) -> int | None:
    """Rounded up. With a key of one's own (`is_byok`) the host states its fee, and beside it what the provider charges.

    Source: https://openrouter.ai/docs/use-cases/usage-accounting (2026-11)
    """
    stated = _stated(raw, quirks)
    beside = _number(_parts(raw, "cost_details").get("upstream_inference_cost")) if raw.get("is_byok") else 0
    if stated is None or beside is None:
        return None
    return math.ceil((Decimal(repr(stated)) + Decimal(repr(beside))) * NANO_PER_USD / quirks.cost_per_usd)


def _stated(raw: Any, quirks: Quirks) -> int | float | None:
    value = raw
    for name in quirks.cost:
        value = value.get(name) if isinstance(value, dict) else None
    return _number(value) if quirks.cost else None


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _parts(raw: Json, name: str) -> Json:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _count(raw: Json, name: str) -> int:
    value = raw.get(name)
    return max(0, int(value)) if isinstance(value, int | float) else 0
