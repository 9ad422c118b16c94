"""What keeps requests answered while providers fail: how long to wait for them, and whom to ask instead."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from gateway.model.call import MAX_BEGIN_MS, MAX_FALLBACKS, MAX_STREAM_MS, Name, Strategy
from gateway.model.limits import ALL_MODELS, Pattern

BeginMs = Annotated[int, Meta(ge=1, le=MAX_BEGIN_MS)]
TotalMs = Annotated[int, Meta(ge=1, le=MAX_STREAM_MS)]
Health: TypeAlias = Literal["healthy", "degraded", "unhealthy"]
"""Of a model at its provider, by the calls of the last minutes."""


class FallbackRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant's requests fall back on that do not say so themselves: `models`, the pattern of what they ask for;
    `fallback`, the names of models, the first one first.
    """

    models: Pattern = ALL_MODELS
    fallback: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MAX_FALLBACKS)]
    strategy: Strategy = "sequential"


class TimeoutRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long models of that pattern may take for a tenant, in milliseconds, as a call's own `timeouts`: where the
    call does not say, and the most that it may say.
    """

    models: Pattern = ALL_MODELS
    ttft_ms: BeginMs | None = None
    total_ms: TotalMs | None = None
    max_ttft_ms: BeginMs | None = None
    max_total_ms: TotalMs | None = None
