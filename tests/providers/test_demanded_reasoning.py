"""Calls of tools that another model made, or whose reasoning the client lost, go on with a model that demands it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named

Json = dict[str, Any]

USER, MORE = {"role": "user", "content": "Hello"}, {"role": "user", "content": "And?"}
CALLED: Json = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "1"}
SAID = {"role": "assistant", "content": "Yes"}


def reasoning_sent(*messages: Json, provider: str = "deepseek", demands: bool = True, **members: Any) -> list[Any]:
    """Of each answer, what stands in `reasoning_content`."""
    call = msgspec.convert({"model": "m", "messages": messages, **members}, ChatCall)
    target = Target(provider, ModelFacts(id="m", name="M", demands_reasoning=demands), "https://host.example")
    body = json.loads(provider_named(provider).wires["chat_completions"].render(call, target).body)
    return [message.get("reasoning_content") for message in body["messages"] if message["role"] == "assistant"]


@pytest.mark.parametrize(
    ("messages", "members", "sent"),
    [
        ([USER, CALLED, RESULT], {}, [" "]),
        ([USER, {**CALLED, "reasoning_content": ""}, RESULT], {}, [" "]),
        ([USER, {**CALLED, "reasoning_content": "Hm"}, RESULT], {}, ["Hm"]),
        ([USER, SAID, MORE, CALLED, RESULT, SAID, MORE], {}, [" ", " ", " "]),
        ([USER, SAID, MORE], {}, [None]),
        ([USER, CALLED, RESULT], {"reasoning_effort": "high"}, [" "]),
        ([USER, CALLED, RESULT], {"reasoning_effort": "none"}, [None]),
        ([USER, CALLED, RESULT], {"provider_options": {"deepseek": {"thinking": {"type": "disabled"}}}}, [None]),
        ([USER, CALLED, RESULT], {"demands": False}, [None]),
    ],
)
def test_no_answer_goes_without_reasoning_where_it_is_demanded(
    messages: list[Json], members: Json, sent: list[Any]
) -> None:
    assert reasoning_sent(*messages, **members) == sent


def test_blocks_of_reasoning_are_reasoning() -> None:
    details = [{"type": "reasoning.text", "text": "Hm"}]
    assert reasoning_sent(USER, CALLED, RESULT, provider="openrouter") == [" "]
    assert reasoning_sent(USER, {**CALLED, "reasoning_details": details}, RESULT, provider="openrouter") == [None]
