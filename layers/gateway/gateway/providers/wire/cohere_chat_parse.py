"""What an answer of Cohere's chat API means, and the readings that streams share with it.

Source: https://docs.cohere.com/reference/chat (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.model.chat import FunctionCall, Json, ToolCall
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.reply import Choice, FinishReason, Reply, ReplyMessage
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.providers.wire.cohere_chat_messages import THINKING, TOOL_PLAN
from gateway.providers.wire.failures import broke_off, failure

FINISH_REASONS: dict[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
FAILED = frozenset({"ERROR", "TIMEOUT"})
INVALID_TOKEN = 498
"""Cohere's own status for a key it does not accept. Source: https://docs.cohere.com/reference/errors"""


class Part(Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None


class Function(Struct):
    name: str | None = None
    arguments: str | None = None


class Call(Struct):
    id: str | None = None
    function: Function | None = None


class Message(Struct):
    content: list[Part] | None = None
    tool_plan: str | None = None
    tool_calls: list[Call] | None = None
    citations: list[Json] | None = None


class Answer(Struct):
    """`usage` and `logprobs` are read only as far as they are as documented."""

    id: str = ""
    message: Message | None = None
    finish_reason: str | None = None
    usage: Any = None
    logprobs: Any = None


_ANSWER = msgspec.json.Decoder(Answer)


def parse_answer(response: HttpResponse, provider: str) -> Reply:
    """Raises ProviderError for a body that is no answer and for an answer that the provider broke off."""
    try:
        answer = _ANSWER.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProviderError(f"{provider} sent something that is not a chat answer.") from None
    message = answer.message
    if message is None or answer.finish_reason is None:
        raise ProviderError(f"{provider} answered without a message or an end.")
    parts = message.content or []
    calls = [_call(call, number) for number, call in enumerate(message.tool_calls or ())]
    said = [part.text or "" for part in parts if part.type == "text"]
    thought = "".join([*(part.thinking or "" for part in parts if part.type == "thinking"), message.tool_plan or ""])
    starts = _starts(parts)
    sources = [source for citation in message.citations or () for source in cited(citation, starts)]
    reply = ReplyMessage(
        content="".join(said) or (None if calls else ""),
        tool_calls=calls or None,
        reasoning_content=thought or None,
        reasoning_details=_details(message) or None,
        annotations=sources or None,
    )
    usage = token_usage(answer.usage)
    reason = finish_reason(answer.finish_reason, usage, has_calls=bool(calls), provider=provider)
    logprobs = probabilities(answer.logprobs if isinstance(answer.logprobs, list) else [])
    return Reply(
        id=answer.id,
        choices=[Choice(index=0, message=reply, finish_reason=reason, logprobs=logprobs)],
        usage=usage,
        extra=billed(answer.usage),
    )


def _call(call: Call, number: int) -> ToolCall:
    function = call.function or Function()
    made = FunctionCall(name=function.name or "", arguments=function.arguments or "")
    return ToolCall(id=call.id or f"call_{number}", function=made)


def _details(message: Message) -> list[Json]:
    thoughts = [part.thinking for part in message.content or () if part.type == "thinking" and part.thinking]
    blocks = [thinking_block(thought) for thought in thoughts]
    return [*blocks, tool_plan_block(message.tool_plan)] if message.tool_plan else blocks


def thinking_block(text: str) -> Json:
    return {"type": THINKING, "thinking": text}


def tool_plan_block(text: str) -> Json:
    return {"type": TOOL_PLAN, "tool_plan": text}


def _starts(parts: list[Part]) -> dict[int | None, int]:
    """Where in the joined text each part begins."""
    starts: dict[int | None, int] = {}
    chars = 0
    for index, part in enumerate(parts):
        starts[index] = chars
        if part.type == "text":
            chars += len(part.text or "")
    return starts


def cited(citation: Json, starts: Mapping[int | None, int]) -> Iterator[Json]:
    """OpenAI's form of a citation, one for each of its sources; of the answer only, not of thoughts and plans.

    A source with an address becomes a `url_citation`; others, which OpenAI has no word for, keep their members.
    """
    if citation.get("type") not in (None, "TEXT_CONTENT"):
        return
    part, start, end = citation.get("content_index"), citation.get("start"), citation.get("end")
    offset = starts.get(part, 0) if isinstance(part, int) else 0
    span: Json = {}
    if isinstance(start, int) and isinstance(end, int):
        span = {"start_index": offset + start, "end_index": offset + end}
    sources = citation.get("sources")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict):
            yield _annotation(source, span)


def _annotation(source: Json, span: Json) -> Json:
    kind = "document" if source.get("type") == "document" else "tool"
    content = source.get("document" if kind == "document" else "tool_output")
    content = content if isinstance(content, dict) else {}
    if isinstance(url := content.get("url"), str):
        return {"type": "url_citation", "url_citation": {**span, "url": url, "title": content.get("title")}}
    kept = {name: value for name, value in source.items() if name != "type"}
    return {"type": f"{kind}_citation", f"{kind}_citation": {**span, **kept}}


def probabilities(items: list[Any]) -> Json | None:
    """OpenAI's shape. An item is a piece of text with one number for each of its tokens: the piece has their sum."""
    entries = [
        {"token": item["text"], "logprob": sum(numbers), "bytes": list(item["text"].encode()), "top_logprobs": []}
        for item in items
        if isinstance(item, dict) and isinstance(item.get("text"), str) and (numbers := _numbers(item.get("logprobs")))
    ]
    return {"content": entries, "refusal": None} if entries else None


def _numbers(value: Any) -> list[float]:
    return [number for number in value if isinstance(number, int | float)] if isinstance(value, list) else []


def finish_reason(given: Any, usage: TokenUsage | None, *, has_calls: bool, provider: str) -> FinishReason:
    """Raises ProviderError when the provider says that it could not finish."""
    said = given if isinstance(given, str) else ""
    if said in FAILED:
        raise broke_off(provider, said, usage)
    reason = FINISH_REASONS.get(said, "stop")
    return "tool_calls" if reason == "stop" and has_calls else reason


def token_usage(usage: Any) -> TokenUsage | None:
    """The tokens that went in and came out; those that are billed leave out what Cohere adds to a prompt.

    None when the provider gave no figures. Thinking is part of `output_tokens`, cache reads of `input_tokens`.
    """
    if not isinstance(usage, dict):
        return None
    tokens = usage.get("tokens") or usage.get("billed_units")
    if not isinstance(tokens, dict) or not ("input_tokens" in tokens or "output_tokens" in tokens):
        return None
    prompt, completion = _count(tokens, "input_tokens"), _count(tokens, "output_tokens")
    billed_units = usage.get("billed_units")
    charged = billed_units if isinstance(billed_units, dict) else {}
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        prompt=PromptTokensDetails(cached_tokens=min(_count(usage, "cached_tokens"), prompt)),
        completion=CompletionTokensDetails(reasoning_tokens=min(_count(tokens, "reasoning_tokens"), completion)),
        billed_prompt_tokens=_count(charged, "input_tokens") if "input_tokens" in charged else None,
        billed_completion_tokens=_count(charged, "output_tokens") if "output_tokens" in charged else None,
    )


def billed(usage: Any) -> Json | None:
    """What the provider charges for, where it says so."""
    units = usage.get("billed_units") if isinstance(usage, dict) else None
    return {"billed_units": units} if isinstance(units, dict) and units else None


def _count(raw: Json, name: str) -> int:
    value = raw.get(name)
    return max(0, int(value)) if isinstance(value, int | float) else 0


def failure_of(response: HttpResponse, provider: str) -> ProviderFailure:
    """Errors are `{"message", "id"}`, without a code."""
    try:
        said = msgspec.json.decode(response.body, type=Json).get("message")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = None
    status = 401 if response.status == INVALID_TOKEN else response.status
    answer = HttpResponse(status, response.headers, response.body)
    return failure(provider, answer, code=None, reason=said if isinstance(said, str) else None)
