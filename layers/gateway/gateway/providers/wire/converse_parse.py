"""What a Converse answer means, whole or in the pieces that `converse_stream` collects.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import FunctionCall, Json, ToolCall
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Choice, FinishReason, Reply, ReplyMessage
from gateway.model.usage import PromptTokensDetails, TokenUsage
from gateway.providers.wire.anthropic_parse import Places
from gateway.providers.wire.failures import broke_off

FINISH_REASONS: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""Those that do not depend on whether a tool was called."""

BROKEN_OFF = frozenset({"malformed_model_output", "malformed_tool_use"})
"""The model's own words could not be read: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"""
TOLD_BY_FINISH_REASON = ("end_turn", "tool_use", "max_tokens", "")
SERVER_TOOL_USE = "server_tool_use"


class Lenient(Struct, frozen=True, rename="camel"):
    """Base: names in camel case, unknown members passed over."""


class CacheDetail(Lenient, frozen=True):
    ttl: str = ""
    input_tokens: int = 0


class Figures(Lenient, frozen=True):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[CacheDetail] | None = None
    server_tool_usage: Json | None = None

    def tokens(self) -> TokenUsage:
        """`inputTokens` excludes what went through the cache; nothing tells reasoning from other output."""
        read, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        written_1h = sum(detail.input_tokens for detail in self.cache_details or () if detail.ttl == "1h")
        return TokenUsage(
            prompt_tokens=self.input_tokens + read + written,
            completion_tokens=self.output_tokens,
            prompt=PromptTokensDetails(
                cached_tokens=read, cache_write_tokens=written, cache_write_1h_tokens=min(written, written_1h)
            ),
        )


class ServiceTier(Lenient, frozen=True):
    type: str | None = None


class Metadata(Lenient, frozen=True):
    """What surrounds an answer, in the same words whether it came whole or as a stream's last event."""

    usage: Figures | None = None
    trace: Json | None = None
    performance_config: Json | None = None
    service_tier: ServiceTier | None = None

    @property
    def tier(self) -> str | None:
        """Of optimized latency that name, because its price is another."""
        if (self.performance_config or {}).get("latency") == "optimized":
            return "optimized"
        return self.service_tier.type if self.service_tier else None

    def facts(self) -> Json | None:
        """What only Bedrock tells: a guardrail's trace (asked for), the latency and its own tools' use."""
        facts = {
            "trace": self.trace,
            "performance_config": self.performance_config,
            "server_tool_usage": self.usage.server_tool_usage if self.usage else None,
        }
        return {name: fact for name, fact in facts.items() if fact} or None


class Stop(Lenient, frozen=True):
    """The end of an answer."""

    stop_reason: str = ""
    additional_model_response_fields: Any = None

    def finish_reason(self, *, has_calls: bool) -> FinishReason:
        """The blocks decide about tools: `end_turn` was seen with a call, `tool_use` without one.

        Sources: https://github.com/strands-agents/sdk-python/issues/1810,
        https://github.com/strands-rl/strands-env/pull/252
        """
        return FINISH_REASONS.get(self.stop_reason) or ("tool_calls" if has_calls else "stop")

    def facts(self) -> Json | None:
        """`stop_reason` where `finish_reason` blurs it, and the model's own members that the call asked for."""
        facts = {
            "stop_reason": None if self.stop_reason in TOLD_BY_FINISH_REASON else self.stop_reason,
            "additional_model_response_fields": self.additional_model_response_fields,
        }
        return {name: fact for name, fact in facts.items() if fact is not None} or None


class Text(Lenient, frozen=True):
    text: str = ""


class ReasoningText(Lenient, frozen=True):
    text: str = ""
    signature: str | None = None


class Reasoning(Lenient, frozen=True):
    """One of both. `redacted_content`: base64."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class ToolUse(Lenient, frozen=True):
    """`type` "server_tool_use": Bedrock has run the tool itself."""

    tool_use_id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")
    type: str | None = None


class Citations(Lenient, frozen=True):
    content: list[Text] = msgspec.field(default_factory=list)
    citations: list[Json] = msgspec.field(default_factory=list)


class ImageSource(Lenient, frozen=True):
    """Base64 or a link to S3."""

    data: str | None = msgspec.field(name="bytes", default=None)
    s3_location: Json | None = None


class Image(Lenient, frozen=True):
    format: str = ""
    source: ImageSource = ImageSource()

    def media(self) -> list[Json]:
        entry: Json = {"type": "image", "content_type": f"image/{self.format}"}
        if self.source.data is not None:
            return [{**entry, "data": self.source.data}]
        uri = (self.source.s3_location or {}).get("uri")
        return [{**entry, "url": uri}] if uri else []


class Block(Lenient, frozen=True):
    """A union: one member is set, none for a block of an unknown kind."""

    text: str | None = None
    reasoning_content: Reasoning | None = None
    tool_use: ToolUse | None = None
    tool_result: Json | None = None
    citations_content: Citations | None = None
    image: Image | None = None


class WholeMessage(Lenient, frozen=True):
    content: list[Block]


class Output(Lenient, frozen=True):
    message: WholeMessage


class Answer(Metadata, frozen=True, kw_only=True):
    output: Output
    stop_reason: str = ""
    additional_model_response_fields: Any = None


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for nonsense; RecursionError for nesting without end."""

_ANSWER = msgspec.json.Decoder(Answer)


def annotation(citation: Json, start: int, end: int) -> Json:
    """OpenAI's form of a citation of the content from character `start` to `end`.

    Sources on the web become `url_citation`; passages of the request's documents, which OpenAI has no word for, keep
    their own members.
    """
    span = {"start_index": start, "end_index": end}
    location = citation.get("location")
    web = location.get("web") if isinstance(location, dict) else None
    if isinstance(web, dict):
        said = {"url": web.get("url"), "title": citation.get("title") or web.get("domain")}
        return {"type": "url_citation", "url_citation": {**span, **said}}
    return {"type": "document_citation", "document_citation": {**span, **citation}}


def opaque(kind: str, block: Json) -> Json:
    """A block to be sent back in the next turn as it is: the union's member under its own name, named in `type`."""
    return {"type": kind, kind: block}


def reasoning_detail(text: str, signature: str | None, redacted: str | None) -> Json | None:
    """None for reasoning without a signature: only sealed reasoning has to come back, other models refuse theirs."""
    if redacted is not None:
        return opaque("reasoningContent", {"redactedContent": redacted})
    if signature is None:
        return None
    return opaque("reasoningContent", {"reasoningText": {"text": text, "signature": signature}})


def server_tool_use(use: ToolUse, given: Any) -> Json:
    """`given`: what the tool was called with."""
    return opaque("toolUse", {"toolUseId": use.tool_use_id, "name": use.name, "input": given, "type": use.type})


class _Content:
    """The blocks of a whole answer, sorted into the members of a normalised message."""

    def __init__(self, blocks: list[Block], model: str) -> None:
        self.text, self.thinking = "", ""
        self.annotations: list[Json] = []
        self.calls: list[ToolCall] = []
        self.details: list[Json] = []
        self.media: list[Json] = []
        self._places = Places(model)
        self._cited_from = 0
        for block in blocks:
            self._add(block)

    def _add(self, block: Block) -> None:
        if block.text is not None:
            self._say(block.text)
        elif block.reasoning_content is not None:
            self._reason(block.reasoning_content)
        elif block.tool_use is not None:
            self._use(block.tool_use)
        elif block.tool_result is not None:
            self.details += self._places.opaque(opaque("toolResult", block.tool_result))
        elif block.citations_content is not None:
            self._cite(block.citations_content)
        elif block.image is not None:
            self.media += block.image.media()

    def _say(self, text: str) -> None:
        if text:
            self._cited_from = len(self.text)
            self.text += text
            self._places.text(len(text))

    def _cite(self, cited: Citations) -> None:
        """Citations without text of their own are of the text before them."""
        self._say("".join(piece.text for piece in cited.content))
        self.annotations += [annotation(one, self._cited_from, len(self.text)) for one in cited.citations]

    def _reason(self, reasoning: Reasoning) -> None:
        said = reasoning.reasoning_text or ReasoningText()
        self.thinking += said.text
        detail = reasoning_detail(said.text, said.signature, reasoning.redacted_content)
        if detail is not None:
            self.details += self._places.opaque(detail)

    def _use(self, use: ToolUse) -> None:
        if use.type == SERVER_TOOL_USE:
            self.details += self._places.opaque(server_tool_use(use, msgspec.json.decode(use.input)))
            return
        function = FunctionCall(name=use.name, arguments=msgspec.json.format(use.input, indent=-1).decode())
        self.calls.append(ToolCall(id=use.tool_use_id, function=function))
        self._places.call(use.tool_use_id)


def parse_answer(response: HttpResponse, provider: str, model: str) -> Reply:
    """`model`: that was asked. Raises ProviderError for a body that is no Converse answer, or a broken one."""
    try:
        answer = _ANSWER.decode(response.body)
        content = _Content(answer.output.message.content, model)
    except UNREADABLE as error:
        raise ProviderError(f"{provider} answered with something that is not a message") from error
    message = ReplyMessage(
        content=content.text or (None if content.calls else ""),
        tool_calls=content.calls or None,
        reasoning_content=content.thinking or None,
        reasoning_details=content.details or None,
        annotations=content.annotations or None,
        media=content.media or None,
    )
    usage = answer.usage.tokens() if answer.usage else None
    stop = Stop(answer.stop_reason, answer.additional_model_response_fields)
    if stop.stop_reason in BROKEN_OFF:
        raise broke_off(provider, stop.stop_reason, usage)
    return Reply(
        choices=[Choice(index=0, message=message, finish_reason=stop.finish_reason(has_calls=bool(content.calls)))],
        usage=usage,
        service_tier=answer.tier,
        extra={**(stop.facts() or {}), **(answer.facts() or {})} or None,
    )
