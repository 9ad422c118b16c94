"""Reasoning of an earlier reply as providers that speak chat completions take it back, each its own."""

from __future__ import annotations

from typing import Any

from gateway.model.chat import AssistantMessage, Json
from gateway.providers.wire.replayed import Members, check_members, malformed, replayed

BLOCKS: dict[str, Members] = {
    "reasoning.text": {},
    "reasoning.summary": {"summary": str},
    "reasoning.encrypted": {"data": str},
}
"""OpenRouter's. A text may be null beside a signature.

Source: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens#reasoning_details-array-structure (2026-11)
"""

THOUGHTS: dict[str, Members] = {"text": {"text": str}, "reference": {"reference_ids": list}}
"""Mistral's parts of a thought.

Source: https://github.com/mistralai/client-python/blob/main/src/mistralai/client/models/thinkchunk.py
"""


def reasoning_blocks(message: AssistantMessage, where: str) -> list[Json]:
    """OpenRouter's `reasoning_details`. Raises InvalidRequest for one that is none."""
    own = [(at, detail) for at, detail in replayed(message, where) if str(detail.get("type")) in BLOCKS]
    for at, detail in own:
        check_members(detail, BLOCKS[detail["type"]], at)
        if not isinstance(detail.get("text"), str | None):
            raise malformed("Expected `str`", f"{at}.text")
    return [detail for _, detail in own]


def thinking_parts(message: AssistantMessage, where: str) -> list[Json]:
    """Mistral's parts of a content; of Anthropic's, which have the same name, the thinking is a text.

    Raises InvalidRequest for one that is none.
    """
    own = [(at, detail) for at, detail in replayed(message, where) if _is_thinking(detail)]
    for at, detail in own:
        for position, part in enumerate(detail["thinking"]):
            place = f"{at}.thinking[{position}]"
            members = THOUGHTS.get(str(part.get("type"))) if isinstance(part, dict) else None
            if members is None:
                raise malformed("Expected a text or a reference", place)
            check_members(part, members, place)
    return [detail for _, detail in own]


def _is_thinking(detail: Json) -> bool:
    return detail.get("type") == "thinking" and isinstance(detail.get("thinking"), list)


NO_REASONING = " "
"""Stands in for reasoning that another model gave none of, or whose client lost it. DeepSeek takes it; the empty text
is refused like none: "The `reasoning_content` in the thinking mode must be passed back to the API."

Sources: https://github.com/NousResearch/hermes-agent/pull/18263, https://github.com/BerriAI/litellm/issues/27439
"""


def with_reasoning(body: Json) -> Json:
    """For a model that demands reasoning: where tools were called, no answer goes without. What answers without calls
    have is ignored, and so is all of it by a model that is told not to reason.

    Source: https://api-docs.deepseek.com/guides/thinking_mode (2026-11)
    """
    thinking, messages = body.get("thinking"), body["messages"]
    is_off = isinstance(thinking, dict) and thinking.get("type") == "disabled"
    if is_off or not any(_is_answer(said) and said.get("tool_calls") for said in messages):
        return body
    filled = [{**said, "reasoning_content": NO_REASONING} if _is_unreasoned(said) else said for said in messages]
    return {**body, "messages": filled}


def _is_answer(message: Any) -> bool:
    return isinstance(message, dict) and message["role"] == "assistant"


def _is_unreasoned(message: Any) -> bool:
    return _is_answer(message) and not any(message.get(name) for name in _READABLE)


_READABLE = ("reasoning_content", "reasoning", "reasoning_details")
