"""Token counts where a provider gives none."""

from __future__ import annotations

import msgspec

from gateway.model.chat import AssistantMessage, ChatCall, Content, TextPart
from gateway.model.reply import Delta, ReplyMessage
from gateway.model.usage import TokenUsage

BYTES_PER_TOKEN = 4


def estimated_usage(call: ChatCall, generated: int) -> TokenUsage:
    """A quarter token for each UTF-8 byte of text and tools, sent and generated; media count nothing."""
    prompt = sum(_text_bytes(message.content) for message in call.messages if message.content)
    prompt += sum(_called_bytes(message) for message in call.messages if isinstance(message, AssistantMessage))
    prompt += len(msgspec.json.encode(call.tools)) if call.tools else 0
    return TokenUsage(
        prompt_tokens=-(-prompt // BYTES_PER_TOKEN),
        completion_tokens=-(-generated // BYTES_PER_TOKEN),
        estimated=True,
    )


def at_least(known: TokenUsage, counted: TokenUsage) -> TokenUsage:
    """What a provider said before a stream broke off, and what was counted since. A price it stated is not the last."""
    return msgspec.structs.replace(
        known,
        completion_tokens=max(known.completion_tokens, counted.completion_tokens),
        stated_cost_nano_usd=None,
        estimated=True,
    )


def generated_bytes(said: ReplyMessage | Delta) -> int:
    """UTF-8 bytes of everything that a model generates as tokens: text, reasoning, refusal, arguments of calls."""
    texts = [said.content, said.refusal, said.reasoning_content]
    texts += [call.function.arguments for call in said.tool_calls or () if call.function]
    return sum(len(text.encode()) for text in texts if text)


def _called_bytes(message: AssistantMessage) -> int:
    return sum(len(call.function.arguments.encode()) for call in message.tool_calls or ())


def _text_bytes(content: Content) -> int:
    if isinstance(content, str):
        return len(content.encode())
    return sum(len(part.text.encode()) for part in content if isinstance(part, TextPart))
