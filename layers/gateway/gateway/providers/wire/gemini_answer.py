"""The members of Gemini's GenerateContentResponse that are read; the whole answer and every stream chunk is one.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (2026-11).
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import Json
from gateway.model.reply import FinishReason
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage

FINISH_REASONS: dict[str | int | None, FinishReason] = {
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
BROKEN_OFF = frozenset(
    {"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"}
    | {"MISSING_THOUGHT_SIGNATURE"}
)
"""The answer is void, though text or a call may have leaked: https://github.com/langchain-ai/langgraph/issues/6574"""
TOLD_BY_FINISH_REASON = (None, "STOP", "MAX_TOKENS")

NOTHING = Raw(b"")


class Answered(Struct, frozen=True, rename="camel"):
    """Base: names in camel case; null is as good as absent."""


class Blob(Answered, frozen=True):
    """`data`: base64."""

    mime_type: str
    data: str


class Call(Answered, frozen=True):
    """`id`: Gemini 3 and later give one. `args`: a JSON object."""

    name: str
    args: Raw = Raw(b"{}")
    id: str | None = None


class Part(Answered, frozen=True):
    """A part of another kind has none of `text`, `inline_data` and `function_call`."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    function_call: Call | None = None


class Content(Answered, frozen=True):
    parts: list[Part] | None = None


class Candidate(Answered, frozen=True):
    """`finish_reason`: a number when enumerations were asked for as numbers."""

    content: Content | None = None
    finish_reason: str | int | None = None
    finish_message: str | None = None
    index: int | None = None
    logprobs_result: Raw = NOTHING
    citation_metadata: Raw = NOTHING
    grounding_metadata: Raw = NOTHING
    url_context_metadata: Raw = NOTHING
    safety_ratings: Raw = NOTHING

    @property
    def parts(self) -> list[Part]:
        return (self.content and self.content.parts) or []


class ModalityCount(Answered, frozen=True):
    modality: str | int | None = None
    token_count: int | None = None


TRAFFIC_TYPES = {
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "scale",
}
"""Vertex AI's words for service tiers, and OpenAI's; its `scale` is capacity that was bought ahead, too.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/priority-paygo (2026-11)
"""


class Figures(Answered, frozen=True):
    """`prompt_token_count` includes what came from the cache, but neither tool results nor thoughts."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    tool_use_prompt_tokens_details: list[ModalityCount] | None = None
    service_tier: str | None = None
    traffic_type: str | None = None

    def updated(self, later: Figures) -> Figures:
        """Later figures replace earlier ones, but a count that is left out is not taken back.

        With server-side tools the last chunk of a stream was seen without `candidatesTokenCount` after sent text.
        """
        known = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **known)

    def tokens(self, searches: int = 0) -> TokenUsage | None:
        """None without a single count. `searches`: queries of Google Search; some models bill them, some the prompt."""
        if self.prompt_token_count is None and self.candidates_token_count is None:
            return None
        prompt = _by_modality(self.prompt_tokens_details, self.tool_use_prompt_tokens_details)
        generated = _by_modality(self.candidates_tokens_details)
        thought = self.thoughts_token_count or 0
        return TokenUsage(
            prompt_tokens=(self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0),
            completion_tokens=(self.candidates_token_count or 0) + thought,
            prompt=PromptTokensDetails(
                cached_tokens=self.cached_content_token_count or 0,
                audio_tokens=prompt.get("AUDIO", 0),
                image_tokens=prompt.get("IMAGE", 0),
                video_tokens=prompt.get("VIDEO", 0),
                cached_audio_tokens=_by_modality(self.cache_tokens_details).get("AUDIO", 0),
            ),
            completion=CompletionTokensDetails(
                reasoning_tokens=thought,
                audio_tokens=generated.get("AUDIO", 0),
                image_tokens=generated.get("IMAGE", 0),
            ),
            units={"web_searches": searches, "grounded_prompts": 1} if searches else {},
        )

    @property
    def tier(self) -> str | None:
        """In OpenAI's words, as in the request."""
        if self.service_tier is None:
            return TRAFFIC_TYPES.get(self.traffic_type or "")
        return "default" if self.service_tier == "standard" else self.service_tier


class PromptFeedback(Answered, frozen=True):
    block_reason: str | int | None = None
    block_reason_message: str | None = None

    def facts(self) -> Json:
        return {"promptFeedback": {"blockReason": self.block_reason, "blockReasonMessage": self.block_reason_message}}


class Answer(Answered, frozen=True):
    """`create_time`: RFC 3339, on Vertex AI only. `error`: instead of all others, inside a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Figures | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: Raw = NOTHING

    @property
    def blocked(self) -> PromptFeedback | None:
        """Why the prompt itself was refused, in place of candidates."""
        feedback = self.prompt_feedback
        return feedback if feedback is not None and feedback.block_reason and not self.candidates else None

    @property
    def created_s(self) -> int:
        try:
            return int(datetime.fromisoformat(self.create_time).timestamp()) if self.create_time else 0
        except (ValueError, OverflowError):
            return 0


ANSWER = msgspec.json.Decoder(Answer)


def given(raw: Raw) -> bool:
    """Whether the member is there and not null."""
    return raw is not NOTHING and bytes(raw) != b"null"


def is_broken_off(reason: str | int | None, *, is_empty: bool) -> bool:
    """Reasons that nobody knows end an answer, unless they stand in place of one (OTHER, NO_IMAGE)."""
    unknown = isinstance(reason, str) and reason not in TOLD_BY_FINISH_REASON and reason not in FINISH_REASONS
    return reason in BROKEN_OFF or (unknown and is_empty)


def finish_reason(reason: str | int | None, *, has_calls: bool) -> FinishReason:
    return FINISH_REASONS.get(reason) or ("tool_calls" if has_calls else "stop")


def _by_modality(*details: list[ModalityCount] | None) -> dict[str | int | None, int]:
    counts: dict[str | int | None, int] = {}
    for detail in details:
        for count in detail or ():
            counts[count.modality] = counts.get(count.modality, 0) + (count.token_count or 0)
    return counts
