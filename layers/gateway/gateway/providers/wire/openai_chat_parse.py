"""OpenAI's chat completion as a normalised reply, and the shapes that stream chunks share with it."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.chat import FunctionCall, Json, ToolCall
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Choice, FinishReason, Reply, ReplyMessage
from gateway.model.tagged_thoughts import taken_apart
from gateway.model.usage import TokenUsage
from gateway.providers.contract import Target
from gateway.providers.wire.failures import broke_off
from gateway.providers.wire.openai_chat_failure import interruption
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_usage import provider_cost, token_usage

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "model_length": "length",  # https://docs.mistral.ai/api/#tag/chat
    "max_tokens": "length",
    "safety": "content_filter",
    "refusal": "content_filter",
}
# The provider gave up: https://api-docs.deepseek.com/api/create-chat-completion,
# https://openrouter.ai/docs/api/reference/errors-and-debugging, https://docs.vllm.ai (abort)
FAILED = frozenset({"error", "insufficient_system_resource", "abort"})


class WireFunction(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class WireCall(msgspec.Struct):
    id: str | None = None
    index: int | None = None
    function: WireFunction | None = None
    extra_content: Json | None = None


class WireMessage(msgspec.Struct):
    """`content`: a text, or parts as Mistral's reasoning models send."""

    content: Any = None
    refusal: str | None = None
    tool_calls: list[WireCall] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    annotations: Any = None
    audio: Any = None


class WireChoice(msgspec.Struct):
    index: int | None = None
    message: WireMessage | None = None
    delta: WireMessage | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None
    content_filter_results: Any = None


class WireAnswer(msgspec.Struct):
    """A reply or a chunk. Members that are merely passed on are not checked."""

    id: Any = None
    created: Any = None
    model: Any = None
    choices: list[WireChoice] | None = None
    usage: Any = None
    service_tier: Any = None
    system_fingerprint: Any = None
    error: Any = None
    x_groq: Any = None
    provider: Any = None
    citations: Any = None
    search_results: Any = None
    related_questions: Any = None
    prompt_filter_results: Any = None

    @property
    def content_filter_results(self) -> list[Json] | None:
        """Azure's, in the form of its `prompt_filter_results`; None when no choice has any."""
        return [
            {"index": choice.index or 0, "content_filter_results": choice.content_filter_results}
            for choice in self.choices or ()
            if choice.content_filter_results
        ] or None


_decoder = msgspec.json.Decoder(WireAnswer)


def decoded(data: bytes, target: Target) -> WireAnswer:
    """Raises ProviderError (502)."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProviderError(f"{target.provider} sent something that is not a chat completion.") from None


def reply(response: HttpResponse, target: Target, quirks: Quirks) -> Reply:
    """Raises ProviderFailure for an error inside a 2xx answer and for one that is no chat completion."""
    answer = decoded(response.body, target)
    if answer.error:
        raise interruption({"error": answer.error}, target, quirks)
    if not answer.choices:
        raise ProviderError(f"{target.provider} answered without a choice.")
    usage = token_usage(figures(answer), quirks)
    return Reply(
        choices=[_choice(choice, position, usage, target, quirks) for position, choice in enumerate(answer.choices)],
        id=text(answer.id),
        created_s=seconds(answer.created),
        model=text(answer.model),
        usage=usage,
        service_tier=service_tier(answer),
        system_fingerprint=text(answer.system_fingerprint) or None,
        extra=extra(answer, quirks) or None,
    )


def service_tier(answer: WireAnswer) -> str | None:
    """Mistral names it within `usage` (recorded), and calls the default "standard"."""
    told = answer.usage.get("service_tier") if isinstance(answer.usage, dict) else None
    named = text(answer.service_tier) or text(told)
    return "default" if named == "standard" else named or None


def _choice(choice: WireChoice, position: int, usage: TokenUsage | None, target: Target, quirks: Quirks) -> Choice:
    if choice.error:
        raise interruption({"error": choice.error}, target, quirks)
    message = choice.message
    if message is None:
        raise ProviderError(f"{target.provider} answered with a choice without a message.")
    said, thinking, blocks = spoken(message)
    tagged, content = taken_apart(said) if said and target.model.tagged_thoughts else ("", said)
    calls = [_call(call, number) for number, call in enumerate(message.tool_calls or ())]
    return Choice(
        index=position if choice.index is None else choice.index,
        message=ReplyMessage(
            content=content if content or not calls else None,
            refusal=message.refusal,
            tool_calls=calls or None,
            reasoning_content=thinking or tagged or None,
            reasoning_details=blocks,
            annotations=objects(message.annotations),
            audio=message.audio if isinstance(message.audio, dict) else None,
        ),
        finish_reason=finish_reason(choice.finish_reason, bool(calls), target, usage),
        logprobs=choice.logprobs if content == said else None,
    )


def _call(call: WireCall, number: int) -> ToolCall:
    function = call.function or WireFunction()
    return ToolCall(
        id=call.id or f"call_{number}",
        function=FunctionCall(name=function.name or "", arguments=arguments(function.arguments) or ""),
        extra_content=call.extra_content,
    )


def spoken(message: WireMessage) -> tuple[str | None, str | None, list[Json] | None]:
    """Text, readable reasoning and opaque reasoning blocks of a message or delta."""
    content = message.content
    thinking = message.reasoning_content or message.reasoning
    if not isinstance(thinking, str):
        thinking = None
    blocks = objects(message.reasoning_details)
    if content is None or isinstance(content, str):
        return content, thinking, blocks
    return _parts(content, thinking, blocks)


def _parts(content: Any, thinking: str | None, blocks: list[Json] | None) -> tuple[str, str | None, list[Json] | None]:
    """Source: https://docs.mistral.ai/capabilities/reasoning (content as parts of type text and thinking)."""
    parts = objects(content) or []
    thoughts = [part for part in parts if part.get("type") == "thinking"]
    inner = [piece for part in thoughts for piece in objects(part.get("thinking")) or []]
    said = "".join(text(part.get("text")) for part in parts if part.get("type") == "text")
    thought = "".join(text(piece.get("text")) for piece in inner)
    return said, thinking or thought or None, (blocks or []) + thoughts or None


def arguments(given: Any) -> str | None:
    """As the model wrote them; some servers send them parsed."""
    if given is None or isinstance(given, str):
        return given
    return msgspec.json.encode(given).decode()


def finish_reason(given: str | None, calls: bool, target: Target, usage: TokenUsage | None = None) -> FinishReason:
    """Raises ProviderError when the provider says that it could not finish."""
    said = (given or "").lower()
    if said in FAILED:
        raise broke_off(target.provider, said, usage)
    return FINISH_REASONS.get(said) or ("tool_calls" if calls else "stop")


def figures(answer: WireAnswer) -> Any:
    """Usage; Groq's streams had it under `x_groq` before they knew `stream_options`.

    Source: https://github.com/groq/groq-python/blob/main/src/groq/types/chat/chat_completion_chunk.py
    """
    if answer.usage or not isinstance(answer.x_groq, dict):
        return answer.usage
    return answer.x_groq.get("usage")


def extra(answer: WireAnswer, quirks: Quirks) -> Json:
    """What this provider adds to OpenAI's answer and clients may want."""
    kept = {name: value for name in quirks.extra if (value := getattr(answer, name)) is not None}
    return kept | provider_cost(answer.usage, quirks) if quirks.cost else kept


def objects(value: Any) -> list[Json] | None:
    """The objects of a list; None when there are none."""
    if not isinstance(value, list):
        return None
    return [item for item in value if isinstance(item, dict)] or None


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def seconds(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0
