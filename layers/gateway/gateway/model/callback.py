"""What a provider says by itself of work that it has begun: a hint to look, never a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class RemoteName:
    """Work at a provider, by the name that its news has for it."""

    provider: str
    name: str


@dataclass(frozen=True, slots=True)
class News:
    """`name`: of the work, as in RemoteName. `kind`: how the provider says that it ended."""

    name: str
    kind: Kind
