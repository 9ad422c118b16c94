"""What a provider may do by itself for one chat, beside reading what it is sent and answering."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class ServerWork(Struct, frozen=True):
    """The most of it. `searches`: calls of tools that have a fee.

    `turns`: how often its model reads, each time paid for, and `reads_more`: whether that is more than it was sent, up
    to all that it can. `told`: options by which the provider keeps to this where the call does not say so itself.
    `unbounded`: the member of `provider_options` that asks for what has no known bound or price.
    """

    searches: int = 0
    turns: int = 1
    reads_more: bool = False
    told: Mapping[str, int] = field(default_factory=dict)
    unbounded: str | None = None
