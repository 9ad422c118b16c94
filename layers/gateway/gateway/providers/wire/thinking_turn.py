"""Claude in the middle of a turn: it has called tools and is given their results.

A turn is thought through or it is not. With thinking by a budget it has to begin with a thought ("a final `assistant`
message must start with a thinking block"), and without thinking it may not have one ("When thinking is disabled, an
`assistant` message in the final position cannot contain `thinking`"); adaptive thinking asks for neither. Later
messages of a turn may be without. Sources: https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting,
https://github.com/pydantic/pydantic-ai/issues/2040, https://github.com/BerriAI/litellm/issues/18926 (2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from gateway.model.catalog import ModelFacts
from gateway.model.chat import Json

Asks: TypeAlias = Callable[[Json], bool]


def in_the_turn(told: Json, turns: list[Json], model: ModelFacts, is_thought: Asks, is_result: Asks) -> Json:
    """How the model is told to think, as far as the turn allows it. Thoughts that it may not have are taken out."""
    turn = _unfinished(turns, is_result)
    by_budget = told.get("thinking", {}).get("type") == "enabled"
    if turn and by_budget and not any(is_thought(block) for block in _blocks(turn[0])[:1]):
        told = {}
    if _is_off(told, model):
        for message in turn:
            if blocks := _blocks(message):
                message["content"] = [block for block in blocks if not is_thought(block)]
    return told


def _is_off(told: Json, model: ModelFacts) -> bool:
    kind = told.get("thinking", {}).get("type")
    unless_asked = model.reasons == "when_asked" or model.reasoning_by == "budget"
    return kind == "disabled" or (kind is None and unless_asked)


def _unfinished(turns: list[Json], is_result: Asks) -> list[Json]:
    """The assistant's messages since a user last spoke; none unless results of tools are the last that was said."""
    said: list[Json] = []
    for turn in reversed(turns):
        if turn["role"] == "assistant":
            said.insert(0, turn)
        elif not any(is_result(block) for block in _blocks(turn)):
            break
    return said if turns[-1]["role"] == "user" else []


def _blocks(turn: Json) -> list[Json]:
    content = turn["content"]
    return content if isinstance(content, list) else []
