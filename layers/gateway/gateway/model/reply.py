"""The normalised reply and its stream chunks: OpenAI's shapes, plus `usage.cost_estimate` and `gateway`."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from gateway.model.chat import Json, ToolCall
from gateway.model.usage import TokenUsage
from gateway.model.wire import Outbound

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


class ReplyMessage(Outbound, frozen=True, kw_only=True):
    """`content` is null when the model only calls tools; text blocks of one reply join without a separator.

    `reasoning_content`: readable reasoning. `reasoning_details`: opaque blocks to send back in the next turn.
    """

    content: str | None
    role: Literal["assistant"] = msgspec.field(default_factory=lambda: "assistant")
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Json] | None = None
    annotations: list[Json] | None = None
    audio: Json | None = None
    media: list[Json] | None = None


class Choice(Outbound, frozen=True, kw_only=True):
    """`logprobs`: in OpenAI's shape, as the provider sent it."""

    index: int
    message: ReplyMessage
    finish_reason: FinishReason
    logprobs: Any = None


class Reply(Outbound, frozen=True, kw_only=True):
    """What a provider's answer means. `id`: the provider's, empty when it has none. `created_s`: Unix seconds or 0.

    `usage` is None when the provider gave none. `extra`: provider facts worth keeping (citations, service tier).
    """

    choices: list[Choice]
    id: str = ""
    created_s: int = 0
    model: str = ""
    usage: TokenUsage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    extra: Json | None = None


class FunctionCallDelta(Outbound, frozen=True, kw_only=True):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(Outbound, frozen=True, kw_only=True):
    """`id`, `type` and `function.name` come with the first piece of a call only."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionCallDelta | None = None
    extra_content: Json | None = None


class Delta(Outbound, frozen=True, kw_only=True):
    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Json] | None = None
    annotations: list[Json] | None = None
    audio: Json | None = None
    media: list[Json] | None = None


class ChunkChoice(Outbound, frozen=True, kw_only=True, omit_defaults=False):
    index: int
    delta: Delta
    finish_reason: FinishReason | None = None
    logprobs: Any = None


class Chunk(Outbound, frozen=True, kw_only=True):
    """One piece of a stream. `usage`: cumulative so far, the last one counts. `choices` may be empty.

    `id`, `model`, `created_s`, `service_tier`, `extra` as in `Reply`, from the chunk on that brings them.
    """

    choices: list[ChunkChoice]
    id: str = ""
    created_s: int = 0
    model: str = ""
    usage: TokenUsage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    extra: Json | None = None
