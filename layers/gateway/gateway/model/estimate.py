"""Token counts where a provider gives none."""

from __future__ import annotations

from gateway.model.chat import ChatCall, Content, TextPart
from gateway.model.usage import TokenUsage

BYTES_PER_TOKEN = 4


def estimated_usage(call: ChatCall, generated_bytes: int) -> TokenUsage:
    """A quarter token for each UTF-8 byte of text sent and generated, marked `estimated`. Media count nothing."""
    prompt_bytes = sum(_text_bytes(message.content) for message in call.messages if message.content)
    return TokenUsage(
        prompt_tokens=-(-prompt_bytes // BYTES_PER_TOKEN),
        completion_tokens=-(-generated_bytes // BYTES_PER_TOKEN),
        estimated=True,
    )


def _text_bytes(content: Content) -> int:
    if isinstance(content, str):
        return len(content.encode())
    return sum(len(part.text.encode()) for part in content if isinstance(part, TextPart))
