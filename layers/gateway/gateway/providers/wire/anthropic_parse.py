"""What an Anthropic Messages answer means, whole or in the pieces that `anthropic_stream` collects.

Sources: https://platform.claude.com/docs/en/api/messages/create,
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import FunctionCall, Json, ToolCall
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.reply import Choice, FinishReason, Reply, ReplyMessage
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.providers.wire.failures import failure
from gateway.providers.wire.model_mark import SIGNED, model_mark

FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "pause_turn": "stop",
    "refusal": "content_filter",
    "model_context_window_exceeded": "length",
}
TOLD_BY_FINISH_REASON = {"end_turn", "stop_sequence", "tool_use", "max_tokens"}

ERROR_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status of an error that comes without one. Source: https://platform.claude.com/docs/en/api/errors"""

OUR_ACCOUNT = ("credit balance", "usage limits")
"""Words of a 400 that speaks of the gateway's own account, not of the request (same source)."""


class CacheCreation(Struct, frozen=True):
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(Struct, frozen=True):
    thinking_tokens: int | None = None


class Figures(Struct, frozen=True):
    """Anthropic's `usage`. In a stream later ones are cumulative, and hold only what has changed."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: Json | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None

    def updated(self, later: Figures) -> Figures:
        known = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **known)

    def tokens(self) -> TokenUsage:
        """`input_tokens` excludes what went through the cache; `output_tokens` includes thinking."""
        read, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        written_1h = self.cache_creation.ephemeral_1h_input_tokens or 0 if self.cache_creation else 0
        thought = self.output_tokens_details.thinking_tokens or 0 if self.output_tokens_details else 0
        return TokenUsage(
            prompt_tokens=(self.input_tokens or 0) + read + written,
            completion_tokens=self.output_tokens or 0,
            prompt=PromptTokensDetails(
                cached_tokens=read, cache_write_tokens=written, cache_write_1h_tokens=min(written, written_1h)
            ),
            completion=CompletionTokensDetails(reasoning_tokens=thought),
            units=self._paid_calls(),
        )

    def _paid_calls(self) -> dict[str, int]:
        """Fetching is free: https://platform.claude.com/docs/en/about-claude/pricing (2026-11)."""
        searches = (self.server_tool_use or {}).get("web_search_requests")
        return {"web_searches": searches} if isinstance(searches, int) and searches > 0 else {}

    @property
    def tier(self) -> str | None:
        """In OpenAI's words, as in the request; of the fast mode its name, because its price is another."""
        if self.speed == "fast":
            return self.speed
        return "default" if self.service_tier == "standard" else self.service_tier


class Stop(Struct, frozen=True):
    """The end of an answer, as `message_delta` and the whole message have it."""

    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Json | None = None
    container: Json | None = None

    def finish_reason(self, *, has_calls: bool) -> FinishReason:
        return FINISH_REASONS.get(self.stop_reason or "") or ("tool_calls" if has_calls else "stop")

    @property
    def refusal(self) -> str | None:
        """Why the provider's filter stopped the answer, when it says."""
        explanation = (self.stop_details or {}).get("explanation")
        return explanation if self.stop_reason == "refusal" and isinstance(explanation, str) else None

    def facts(self, figures: Figures | None) -> Json | None:
        """What only Anthropic tells; `stop_reason` where `finish_reason` blurs it."""
        figures = figures or Figures()
        facts = {
            "stop_reason": None if self.stop_reason in TOLD_BY_FINISH_REASON else self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": self.stop_details,
            "container": self.container,
            "server_tool_use": figures.server_tool_use,
            "inference_geo": figures.inference_geo,
            "speed": figures.speed,
        }
        return {name: fact for name, fact in facts.items() if fact not in (None, "not_available")} or None


class WholeMessage(Stop, frozen=True):
    content: list[Raw] = msgspec.field(default_factory=list)
    type: str = ""
    id: str = ""
    model: str = ""
    usage: Figures | None = None


class Block(Struct, frozen=True):
    """The members of content blocks that are read; a block of another type is kept as it came."""

    type: str
    text: str | None = None
    citations: list[Json] | None = None
    thinking: str | None = None
    id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")
    caller: Json | None = None

    @property
    def extra_content(self) -> Json | None:
        """Who called, when not the model itself but code that it runs; has to come back with the result."""
        return {"anthropic": {"caller": self.caller}} if (self.caller or {}).get("type", "direct") != "direct" else None


class ErrorBody(Struct, frozen=True):
    type: str | None = None
    message: str | None = None


class ErrorEnvelope(Struct, frozen=True):
    error: ErrorBody


class Kind(Struct, frozen=True):
    type: str


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for nonsense; RecursionError for nesting without end."""

READ_BLOCKS = ("text", "tool_use", "thinking")
_MESSAGE = msgspec.json.Decoder(WholeMessage)
_ERROR = msgspec.json.Decoder(ErrorEnvelope)
_BLOCK = msgspec.json.Decoder(Block)
KIND = msgspec.json.Decoder(Kind)
OPAQUE = msgspec.json.Decoder(dict[str, Any])


def read_block(raw: Raw) -> Block:
    """Raises MsgspecError when `raw` is no block, or one of READ_BLOCKS with other members than documented."""
    try:
        return _BLOCK.decode(raw)
    except msgspec.ValidationError:
        kind = KIND.decode(raw).type
        if kind in READ_BLOCKS:
            raise
        return Block(type=kind)


class Places:
    """Keeps where opaque blocks stood among text and calls, which the normalised message holds apart.

    A block that follows text or calls is preceded by marks: `{"type": "text", "chars": n}` for so many characters of
    the content, `{"type": "tool_use", "id": id}` for that call. Thinking may not be moved when it is sent back:
    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks
    """

    def __init__(self, model: str) -> None:
        self._marks: list[Json] = []
        self._model: str | None = model

    def text(self, chars: int) -> None:
        if chars:
            self._marks.append({"type": "text", "chars": chars})

    def call(self, call_id: str) -> None:
        self._marks.append({"type": "tool_use", "id": call_id})

    def opaque(self, block: Json) -> list[Json]:
        """The block after the marks that belong before it; after the first signed one, who has signed it."""
        marked = [*self._marks, block]
        self._marks.clear()
        if self._model is not None and block.get("type") in SIGNED:
            marked.append(model_mark(self._model))
            self._model = None
        return marked


def annotation(citation: Json, start: int, end: int) -> Json:
    """OpenAI's form of a citation of the content from character `start` to `end`.

    Sources on the web become `url_citation`; others, which OpenAI has no word for, keep their own type and members.
    """
    span = {"start_index": start, "end_index": end}
    kind = str(citation.get("type", ""))
    if kind == "web_search_result_location":
        said = {name: citation.get(name) for name in ("url", "title", "cited_text")}
        return {"type": "url_citation", "url_citation": {**span, **said}}
    return {"type": kind, kind: {**span, **{name: value for name, value in citation.items() if name != "type"}}}


class _Content:
    """The blocks of a whole answer, sorted into the members of a normalised message."""

    def __init__(self, blocks: list[Raw], model: str) -> None:
        self.text, self.thinking = "", ""
        self.annotations: list[Json] = []
        self.calls: list[ToolCall] = []
        self.details: list[Json] = []
        self._places = Places(model)
        for raw in blocks:
            self._add(read_block(raw), raw)

    def _add(self, block: Block, raw: Raw) -> None:
        if block.type == "text":
            start, self.text = len(self.text), self.text + (block.text or "")
            self.annotations += [annotation(cited, start, len(self.text)) for cited in block.citations or ()]
            self._places.text(len(self.text) - start)
        elif block.type == "tool_use":
            function = FunctionCall(name=block.name, arguments=msgspec.json.format(block.input, indent=-1).decode())
            self.calls.append(ToolCall(id=block.id, function=function, extra_content=block.extra_content))
            self._places.call(block.id)
        else:
            self.thinking += (block.thinking or "") if block.type == "thinking" else ""
            self.details += self._places.opaque(OPAQUE.decode(raw))


def parse_message(response: HttpResponse, provider: str, model: str) -> Reply:
    """`model`: that was asked.

    Raises ProviderError for a body that is no message, and the right failure for an error in a 200.
    """
    try:
        message = _MESSAGE.decode(response.body)
        content = _Content(message.content, model)
    except UNREADABLE as error:
        raise ProviderError(f"{provider} answered with something that is not a message") from error
    if message.type != "message":
        raise error_of(response.body, provider) or ProviderError(f"{provider} answered without a message")
    return Reply(
        id=message.id,
        model=message.model,
        choices=[_choice(message, content)],
        usage=message.usage.tokens() if message.usage else None,
        service_tier=message.usage.tier if message.usage else None,
        extra=message.facts(message.usage),
    )


def _choice(message: WholeMessage, content: _Content) -> Choice:
    return Choice(
        index=0,
        finish_reason=message.finish_reason(has_calls=bool(content.calls)),
        message=ReplyMessage(
            content=content.text or (None if content.calls else ""),
            refusal=message.refusal,
            tool_calls=content.calls or None,
            reasoning_content=content.thinking or None,
            reasoning_details=content.details or None,
            annotations=content.annotations or None,
        ),
    )


def error_of(data: bytes, provider: str) -> ProviderFailure | None:
    """The failure that an error object without an HTTP status of its own means, None when `data` is none."""
    try:
        kind = _ERROR.decode(data).error.type or ""
    except UNREADABLE:
        return None
    return fail_message(HttpResponse(ERROR_STATUS.get(kind, 500), {}, data), provider)


def fail_message(response: HttpResponse, provider: str) -> ProviderFailure:
    """`error.type` becomes the provider's code."""
    try:
        error = _ERROR.decode(response.body).error
    except UNREADABLE:
        error = ErrorBody()
    if response.status == 400 and any(words in (error.message or "") for words in OUR_ACCOUNT):
        response = HttpResponse(402, response.headers, response.body)
    return failure(provider, response, code=error.type, reason=error.message)
