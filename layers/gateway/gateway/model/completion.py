"""What a chat client receives: OpenAI's objects, with cost and a `gateway` member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from gateway.model.money import NANO_PER_USD
from gateway.model.reply import Choice, ChunkChoice
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.model.wire import Outbound


class UsageReport(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """Tokens as in `TokenUsage`. `cost_estimate`: USD for the whole reply, null when the model's price is unknown."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails
    cost_estimate: float | None
    estimated: bool

    @classmethod
    def of(cls, usage: TokenUsage, cost_nano_usd: int | None) -> UsageReport:
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            prompt_tokens_details=usage.prompt,
            completion_tokens_details=usage.completion,
            cost_estimate=None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD,
            estimated=usage.estimated,
        )


class AttemptReport(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """One call to a provider. `status`: "ok", "error", of which `code` says which, or "cancelled" because another model
    had answered. `ttft_ms`: streams only. `cost_estimate`: USD, null when it is unknown.
    """

    provider: str
    model: str
    status: str
    code: str | None
    latency_ms: float
    ttft_ms: float | None
    cost_estimate: float | None


class LeftOut(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """A model that was to be asked or fallen back on, and the error that asking it this would be refused with."""

    model: str
    code: str
    message: str


class HookReport(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """One hook that was asked. `action`: "allow", "block", "modify" or "failed"; of a hook that observes, what it would
    have done.
    """

    id: str
    stage: str
    mode: str
    action: str
    latency_ms: float


class GatewayReport(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    """`latency_ms`: from the request's arrival at the function; of a job since its worker began.

    `overhead_ms`: the same less waiting for providers, for media that had to be fetched and for remote hooks.
    `schemas_used`: by the type id that a tool named, the one that served, where that left the minor version open.
    `hooks`: those of the tenant's that have answered. `attempts`: the last one is the one that answered. `left_out`:
    members of the group and models of the fallback that could not be asked.
    """

    request_id: str
    provider: str
    model_requested: str
    model_used: str
    fallback_used: bool
    attempts: list[AttemptReport]
    latency_ms: float
    overhead_ms: float
    schemas_used: Mapping[str, str] | UnsetType = UNSET
    hooks: list[HookReport] | UnsetType = UNSET
    left_out: Sequence[LeftOut] | UnsetType = UNSET


class Completion(Outbound, frozen=True, kw_only=True, tag_field="object", tag="chat.completion"):
    """`created`: Unix seconds. `model`: as `gateway.model_used`, so it can be asked for again."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: UsageReport
    gateway: GatewayReport
    service_tier: str | None = None
    system_fingerprint: str | None = None
    provider_data: dict[str, Any] | None = None


class CompletionChunk(Outbound, frozen=True, kw_only=True, tag_field="object", tag="chat.completion.chunk"):
    """The last chunk of a stream, and only that one, has `usage` and `gateway`."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageReport | None = None
    gateway: GatewayReport | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    provider_data: dict[str, Any] | None = None
