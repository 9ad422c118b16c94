"""What is known of one request while it runs: each step of the pipeline adds its part, `conclude` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.model.completion import UsageReport
from gateway.model.errors import GatewayError
from gateway.model.tenant import Principal
from gateway.model.usage import TokenUsage
from gateway.pipeline.route import Route
from gateway.providers.contract import RemoteFile


@dataclass(slots=True)
class Attempt:
    """One call to a provider. Times in seconds of the monotonic clock; `provider_wait_s`: spent waiting for it.

    `uploads`: what the provider was given for this call alone.
    """

    route: Route
    started_s: float
    provider_wait_s: float = 0.0
    ttft_s: float | None = None
    ended_s: float | None = None
    error: GatewayError | None = None
    uploads: list[RemoteFile] = field(default_factory=list)


@dataclass(slots=True)
class Exchange:
    """`request_id`: the gateway's own, unique. `conversation_id`: from the caller's metadata."""

    request_id: str
    operation: str
    started_s: float
    principal: Principal | None = None
    model_requested: str | None = None
    conversation_id: str | None = None
    stream: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    media_wait_s: float = 0.0
    schemas_used: Mapping[str, str] = field(default_factory=dict)
    usage: TokenUsage | None = None
    cost_nano_usd: int | None = None
    usage_report: UsageReport | None = None
    error: GatewayError | None = None

    @property
    def waited_s(self) -> float:
        """For providers, and for media that had to be fetched or read: what the gateway itself cannot help."""
        return self.media_wait_s + sum(attempt.provider_wait_s for attempt in self.attempts)
