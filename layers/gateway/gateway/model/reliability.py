"""What keeps requests answered while providers fail: whom to ask instead."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from gateway.model.call import MAX_FALLBACKS, Name, Strategy
from gateway.model.limits import ALL_MODELS, Pattern

Health: TypeAlias = Literal["healthy", "degraded", "unhealthy"]
"""Of a model at its provider, by the calls of the last minutes."""


class FallbackRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant's requests fall back on that do not say so themselves: `models`, the pattern of what they ask for;
    `fallback`, the names of models, the first one first.
    """

    models: Pattern = ALL_MODELS
    fallback: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MAX_FALLBACKS)]
    strategy: Strategy = "sequential"
