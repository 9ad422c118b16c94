"""What every call has, whichever capability it asks for.

`null` for an optional member means the same as leaving it out, as it does at OpenAI.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, field

from gateway.model.wire import Inbound

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(ge=1)]
Metadata: TypeAlias = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]


class Timeouts(Inbound, frozen=True, kw_only=True):
    """Milliseconds. `ttft_ms`: until the first content chunk of a stream. `total_ms`: until an attempt's end."""

    ttft_ms: Annotated[int, Meta(ge=1, le=900_000)] | None = None
    total_ms: Annotated[int, Meta(ge=1, le=900_000)] | None = None


class Fallback(Inbound, frozen=True, kw_only=True):
    models: Annotated[list[Name], Meta(min_length=1)]
    strategy: Literal["sequential", "parallel"] = "sequential"


class Call(Inbound, frozen=True, kw_only=True, rename={"async_": "async"}):
    """`provider_options`: members added to the provider's own request body, by provider name."""

    model: Name
    user: Annotated[str, Meta(max_length=256)] | None = None
    metadata: Metadata | None = None
    fallback: Fallback | None = None
    timeouts: Timeouts | None = None
    provider_options: dict[str, dict[str, Any]] = field(default_factory=dict)
    async_: bool | None = None

    @property
    def conversation_id(self) -> str | None:
        return (self.metadata or {}).get("conversation_id")
