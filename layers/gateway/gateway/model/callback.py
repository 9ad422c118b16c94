"""What a provider says by itself of work that it has begun: a hint to look, never a result."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["completed", "failed", "cancelled"]


class RemoteName(Struct, frozen=True):
    """Work at a provider, by the name that its news has for it."""

    provider: str
    name: str


class News(Struct, frozen=True):
    """`name`: of the work, as in RemoteName. `kind`: how the provider says that it ended."""

    name: str
    kind: Kind
