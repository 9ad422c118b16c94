"""The most that a prompt can count: nothing that a provider gets is left out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.pipeline.demand import prompt_tokens_at_most

FACTS = ModelFacts(id="m", name="M", source="here", context_tokens=100_000, image_tokens=2_000, input=("text", "image"))


def at_most(facts: ModelFacts = FACTS, **members: Any) -> int:
    said = {"role": "assistant", "content": "Hi", **members}
    return prompt_tokens_at_most(msgspec.convert({"model": "m", "messages": [said]}, ChatCall), facts)


PLAIN = at_most()


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "thinking", "thinking": "x" * 500, "signature": "y" * 500},
        {"type": "redacted_thinking", "data": "x" * 1_000},
        {"type": "responses.item", "provider": "openai", "item": {"encrypted_content": "x" * 1_000}},
        {"type": "mcp_tool_result", "tool_use_id": "s", "content": [{"type": "text", "text": "x" * 1_000}]},
    ],
)
def test_reasoning_that_comes_back_counts_by_its_bytes(detail: dict[str, Any]) -> None:
    assert at_most(reasoning_details=[detail]) >= PLAIN + 1_000


@pytest.mark.parametrize(
    ("medium", "facts", "tokens"),
    [
        ("image", FACTS, 2_000),
        ("image", msgspec.structs.replace(FACTS, image_tokens=None), 100_000 - PLAIN),
        ("audio", FACTS, 100_000 - PLAIN),
        ("image", msgspec.structs.replace(FACTS, input=("text",)), 0),
    ],
)
def test_media_of_an_earlier_reply_count_as_what_is_read_of_them(medium: str, facts: ModelFacts, tokens: int) -> None:
    """Their bytes are fetched later, by the id of the file; a model that reads no media is given none."""
    counted = at_most(facts, media=[{"type": medium, "file_id": "file_1"}]) - PLAIN
    assert tokens <= counted <= tokens + 100
