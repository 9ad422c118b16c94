"""Reasoning of an earlier reply as providers that speak chat completions take it back, each its own."""

from __future__ import annotations

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
