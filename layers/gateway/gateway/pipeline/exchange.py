"""What is known of one request while it runs: each step of the pipeline adds its part, `conclude` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.model.call import Call
from gateway.model.completion import UsageReport
from gateway.model.errors import GatewayError
from gateway.model.tenant import Principal
from gateway.model.usage import TokenUsage
from gateway.pipeline.admit import Ticket
from gateway.pipeline.route import AnyRoute
from gateway.providers.contract import RemoteFile


@dataclass(slots=True)
class Attempt:
    """One call to a provider. Times in seconds of the monotonic clock; `provider_wait_s`: spent waiting for it.

    `usage`, `cost_nano_usd`: None until known, the cost also when the price is not.
    `uploads`: what the provider was given for this call alone.
    """

    route: AnyRoute
    started_s: float
    provider_wait_s: float = 0.0
    ttft_s: float | None = None
    ended_s: float | None = None
    error: GatewayError | None = None
    usage: TokenUsage | None = None
    cost_nano_usd: int | None = None
    uploads: list[RemoteFile] = field(default_factory=list)


@dataclass(slots=True)
class Exchange:
    """`request_id`: the gateway's own, unique. `conversation_id`: from the caller's metadata.

    `arrived_s`: Unix seconds. `started_s`: the same moment of the monotonic clock. `job_id`: of the job that it became.
    `goes_on`: whether that job is still to tell of its end, and to settle what is held.
    """

    request_id: str
    operation: str
    started_s: float
    arrived_s: float = 0.0
    principal: Principal | None = None
    model_requested: str | None = None
    conversation_id: str | None = None
    stream: bool = False
    ticket: Ticket | None = None
    attempts: list[Attempt] = field(default_factory=list)
    media_wait_s: float = 0.0
    hook_wait_s: float = 0.0
    schemas_used: Mapping[str, str] = field(default_factory=dict)
    usage_report: UsageReport | None = None
    error: GatewayError | None = None
    job_id: str | None = None
    goes_on: bool = False

    @property
    def usage(self) -> TokenUsage | None:
        """Of the last attempt."""
        return self.attempts[-1].usage if self.attempts else None

    @property
    def cost_nano_usd(self) -> int | None:
        """Of all attempts; None when that of one that was charged is unknown."""
        costs = [attempt.cost_nano_usd for attempt in self.attempts if attempt.usage is not None]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    @property
    def waited_s(self) -> float:
        """For providers, media and hooks: what the gateway itself cannot help."""
        return self.media_wait_s + self.hook_wait_s + sum(attempt.provider_wait_s for attempt in self.attempts)

    def note(self, call: Call, *, stream: bool = False) -> None:
        """What was asked for."""
        self.model_requested, self.conversation_id, self.stream = call.model, call.conversation_id, stream

    def facts(self) -> dict[str, Any]:
        """What the hold keeps, for the record of a request that is lost with its function."""
        return {
            "request_id": self.request_id,
            "operation": self.operation,
            "key_id": self.principal.key.id if self.principal else None,
            "arrived_s": self.arrived_s,
            "model_requested": self.model_requested,
            "conversation_id": self.conversation_id,
            "stream": self.stream,
        }
