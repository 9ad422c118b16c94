"""What every call has, whichever capability it asks for.

`null` for an optional member means the same as leaving it out, as it does at OpenAI.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.model.webhook import WebhookUrl
from gateway.model.wire import Inbound

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
"""No provider counts further; what it costs at most has to fit into 64 bits of nano-USD."""
MAX_BEGIN_MS, MAX_STREAM_MS = 285_000, 840_000
"""Until an answer begins, which is all of one that is not streamed, and until a stream's end."""
MAX_JOB_MS = 840_000
"""Until the end of an answer that nobody waits for."""
MAX_FALLBACKS = 8
Names = Annotated[list[Name], Meta(max_length=MAX_FALLBACKS)]
Strategy: TypeAlias = Literal["sequential", "parallel"]
Metadata: TypeAlias = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]


class Timeouts(Inbound, frozen=True, kw_only=True):
    """Milliseconds. `ttft_ms`: until the first content chunk of a stream. `total_ms`: until an attempt's end.

    A regional API Gateway drops a connection that is silent for 300 s, so an answer begins before that; a stream ends
    before Lambda's 15 minutes do:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html
    """

    ttft_ms: Annotated[int, Meta(ge=1, le=MAX_BEGIN_MS)] | None = None
    total_ms: Annotated[int, Meta(ge=1, le=MAX_STREAM_MS)] | None = None


class Fallback(Inbound, frozen=True, kw_only=True):
    """`strategy`: one after the other as each fails, or all at once, of which the first to answer counts."""

    models: Annotated[list[Name], Meta(min_length=1, max_length=MAX_FALLBACKS)]
    strategy: Strategy = "sequential"


class Call(Inbound, frozen=True, kw_only=True, rename={"async_": "async"}):
    """`provider_options`: members added to the provider's own request body, by provider name.

    `async_`: whether the request is to run as a job. `webhook_url`: where its end is told. `fallbacks`, `models`:
    short for `fallback`, as LiteLLM and OpenRouter call it; an empty list is for no model but this one, whatever the
    tenant's settings say.
    """

    model: Name
    user: Annotated[str, Meta(max_length=256)] | None = None
    metadata: Metadata | None = None
    fallback: Fallback | None = None
    fallbacks: Names | None = None
    models: Names | None = None
    timeouts: Timeouts | None = None
    provider_options: dict[str, dict[str, Any]] | None = None
    async_: bool | None = None
    webhook_url: WebhookUrl | None = None

    def options_for(self, provider: str) -> dict[str, Any]:
        """What the client adds to this provider's request body; not to be changed."""
        return (self.provider_options or {}).get(provider) or {}

    @property
    def options_bytes(self) -> int:
        """Of what is added for all providers, as JSON: no tokenizer makes more tokens of it."""
        return len(msgspec.json.encode(self.provider_options)) if self.provider_options else 0

    @property
    def conversation_id(self) -> str | None:
        return (self.metadata or {}).get("conversation_id")

    @property
    def is_streamed(self) -> bool:
        return False
