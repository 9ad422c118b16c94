"""What is held for a session of voice: what it has cost, and the most that its next response can.

A response is charged for the whole conversation before it. Of that nobody tells the tokens before the response has
ended, so they are counted from above: text by its bytes, sound by its length.
"""

from __future__ import annotations

import msgspec

from gateway.model.realtime import SessionConfig
from gateway.model.tenant import Principal
from gateway.pipeline.demand import UNKNOWN_CONTEXT_TOKENS, UNKNOWN_OUTPUT_TOKENS, demand_of_session, money_is_limited
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import AnyRoute

TOKENS_PER_S_OF_SOUND = 50
"""More than anybody counts: OpenAI 10 for what it hears and 20 for what it says, Google 32.
https://developers.openai.com/api/docs/guides/realtime-costs, https://ai.google.dev/gemini-api/docs/tokens (2026-11)"""
AHEAD_TOKENS = 60 * TOKENS_PER_S_OF_SOUND
"""That much more may be said until more is held: a minute of sound."""
TOLD_OUTPUT_TOKENS = UNKNOWN_OUTPUT_TOKENS
"""The most of a response where spending is limited and nobody says how long it may be: more than three minutes."""
LATE_S = 300.0
"""After its longest time a session may still be told of and settled."""


def configured_tokens(config: SessionConfig) -> int:
    """Of instructions and tools that hold from the start, counted from above: no text has more tokens than bytes."""
    return 0 if config == SessionConfig() else len(msgspec.json.encode(config))


def most_output_tokens(config: SessionConfig, route: AnyRoute, principal: Principal) -> int:
    """Of a response of the session, as its provider has to be told where spending is limited."""
    most = route.facts.max_output_tokens or UNKNOWN_OUTPUT_TOKENS
    if isinstance(config.max_output_tokens, int):
        return min(most, config.max_output_tokens)
    if not money_is_limited(principal, route.model_id):
        return most
    return min(most, principal.tenant.default_max_tokens or TOLD_OUTPUT_TOKENS)


def demand_of_next(
    route: AnyRoute,
    principal: Principal,
    *,
    spent_nano_usd: int,
    context_tokens: int,
    output_tokens: int,
    lease_s: float,
) -> Demand:
    """`context_tokens`: the most that the conversation has by now. Raises PriceUnknown (400)."""
    most = route.facts.context_tokens or UNKNOWN_CONTEXT_TOKENS
    ahead = min(most, context_tokens + AHEAD_TOKENS)
    return demand_of_session(route, principal, spent_nano_usd, ahead, output_tokens, lease_s)
