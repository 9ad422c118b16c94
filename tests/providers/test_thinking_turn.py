"""Results of tools come back to a Claude that thinks by a budget, with and without the thoughts before its calls."""

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

APIS: dict[str, Any] = {"anthropic": "messages", "bedrock": "converse"}
HELLO = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
ADAPTIVE = {"reasoning_by": "effort"}
THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}


def used(name: str, *details: Json) -> list[Json]:
    call = {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"role": "assistant", "content": "Well", "tool_calls": [call], "reasoning_details": list(details)}
    return [said, {"role": "tool", "tool_call_id": name, "content": "1"}]


def sent(provider: str, messages: list[Json], facts: Json | None = None, **members: Any) -> tuple[Any, int]:
    """How it is told to think, and how many thoughts it is given back."""
    asked = {"model": "m", "messages": messages, "tools": [TOOL], "max_tokens": 4096, **members}
    known: Json = {"reasoning_by": "budget", **(facts or {})}
    model = ModelFacts(id="m", name="M", api=APIS[provider], dialect="anthropic", **known)
    wire = provider_named(provider).wires[APIS[provider]]
    body = json.loads(wire.render(msgspec.convert(asked, ChatCall), Target(provider, model, "https://h.example")).body)
    blocks = [block for turn in body["messages"] if isinstance(turn["content"], list) for block in turn["content"]]
    thoughts = [block for block in blocks if block.get("type") == "thinking" or "reasoningContent" in block]
    told = body.get("additionalModelRequestFields", body).get("thinking", {})
    return told.get("type"), len(thoughts)


@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([HELLO, *used("a")], (None, 0)),
        ([HELLO, *used("a"), *used("b", THOUGHT)], (None, 0)),
        ([HELLO, *used("a", THOUGHT)], ("enabled", 1)),
        ([HELLO, *used("a", THOUGHT), *used("b")], ("enabled", 1)),
        ([HELLO, *used("a"), {"role": "assistant", "content": "So"}, HELLO], ("enabled", 0)),
        ([HELLO, *used("a"), HELLO], (None, 0)),
        ([HELLO, *used("a", THOUGHT), {"role": "assistant", "content": "So"}, HELLO, *used("b")], (None, 1)),
        ([HELLO], ("enabled", 0)),
    ],
)
def test_a_turn_that_was_begun_without_a_thought_goes_on_without(
    provider: str, messages: list[Json], told: tuple[str | None, int]
) -> None:
    assert sent(provider, messages, reasoning_effort="low") == told


@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize(
    ("effort", "facts", "told"),
    [
        ({}, {}, (None, 0)),
        ({"reasoning_effort": "none"}, {}, ("disabled", 0)),
        ({"reasoning_effort": "none"}, {**ADAPTIVE, "reasons": "unless_told"}, ("disabled", 0)),
        ({"reasoning_effort": "low"}, ADAPTIVE, ("adaptive", 1)),
        ({}, {**ADAPTIVE, "reasons": "when_asked"}, (None, 0)),
        ({}, {**ADAPTIVE, "reasons": "unless_told"}, (None, 1)),
    ],
)
def test_a_turn_that_goes_on_without_thinking_is_given_no_thoughts(
    provider: str, effort: Json, facts: Json, told: tuple[str | None, int]
) -> None:
    if provider == "bedrock" and not facts and effort:
        told = (None, 0)  # what happens anyway is not said there
    assert sent(provider, [HELLO, *used("a", THOUGHT)], facts, **effort) == told


@pytest.mark.parametrize("provider", APIS)
def test_an_adaptive_thinker_begins_as_it_likes(provider: str) -> None:
    assert sent(provider, [HELLO, *used("a")], ADAPTIVE, reasoning_effort="low") == ("adaptive", 0)


def test_who_says_it_in_the_providers_own_words_is_left_alone() -> None:
    options = {"anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    assert sent("anthropic", [HELLO, *used("a", THOUGHT)], provider_options=options) == ("enabled", 1)
    fields = {"bedrock": {"additionalModelRequestFields": options["anthropic"]}}
    assert sent("bedrock", [HELLO, *used("a", THOUGHT)], provider_options=fields) == ("enabled", 1)
