"""A history that one provider took as it is says the same to those that refuse blank text or who speaks first."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named

Json = dict[str, Any]

HELLO, AND = {"role": "user", "content": "Hello"}, {"role": "user", "content": "And?"}
BLANK: Json = {"type": "text", "text": " \n"}
THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
APIS = [("anthropic", "messages"), ("bedrock", "converse")]


def turns_of(provider: str, api: Any, *messages: Json) -> list[Json]:
    tool = {"type": "function", "function": {"name": "f"}}
    call = msgspec.convert({"model": "m", "messages": messages, "tools": [tool]}, ChatCall)
    target = Target(provider, ModelFacts(id="m", name="M", api=api, dialect="anthropic"), "https://host.example")
    body: Json = json.loads(provider_named(provider).wires[api].render(call, target).body)
    assert "system" not in body
    found: list[Json] = body["messages"]
    return found


@pytest.mark.parametrize(("provider", "api"), APIS)
@pytest.mark.parametrize(
    "nothing",
    [
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": [BLANK]},
        {"role": "assistant", "content": "", "reasoning_details": [THOUGHT]},
        {"role": "system", "content": " "},
        {"role": "system", "content": [BLANK]},
    ],
)
def test_messages_that_say_nothing(provider: str, api: str, nothing: Json) -> None:
    (turn,) = turns_of(provider, api, HELLO, nothing, AND)
    assert [block["text"] for block in turn["content"]] == ["Hello", "And?"]


@pytest.mark.parametrize(("provider", "api"), APIS)
def test_blank_parts_beside_others(provider: str, api: str) -> None:
    said = {"role": "user", "content": [BLANK, {"type": "text", "text": "Hello"}]}
    ((block,),) = [turn["content"] for turn in turns_of(provider, api, said)]
    assert block["text"] == "Hello"


@pytest.mark.parametrize(("provider", "api"), APIS)
@pytest.mark.parametrize("content", ["", " ", [], [BLANK]])
def test_results_that_say_nothing(provider: str, api: str, content: Any) -> None:
    used = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    asked = {"role": "assistant", "content": None, "tool_calls": [used]}
    *_, turn = turns_of(provider, api, HELLO, asked, {"role": "tool", "tool_call_id": "a", "content": content})
    (block,) = turn["content"]
    assert not block.get("toolResult", block).get("content")


@pytest.mark.parametrize(("provider", "api"), APIS)
@pytest.mark.parametrize("content", ["", " ", [], [BLANK]])
def test_a_user_who_says_nothing_is_refused_by_name(provider: str, api: str, content: Any) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        turns_of(provider, api, HELLO, {"role": "user", "content": content})
    assert refused.value.param == "messages[1].content"


@pytest.mark.parametrize(("provider", "api"), APIS)
def test_an_assistant_who_speaks_first(provider: str, api: str) -> None:
    turns = turns_of(provider, api, {"role": "assistant", "content": "Welcome!"}, HELLO)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert "(The assistant speaks first.)" in str(turns[0]["content"])


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}])
def test_an_answer_that_says_nothing_to_openai_and_its_imitators(content: Json) -> None:
    nothing = {"role": "assistant", "tool_calls": [], **content}
    assert chat("openai", HELLO, nothing, AND)["messages"] == [HELLO, {"role": "assistant", "content": ""}, AND]
    assert chat("mistral", HELLO, nothing, AND)["messages"] == [HELLO, AND]
    used = {"id": "aaaaaaaaa", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [used]}
    result = {"role": "tool", "tool_call_id": "aaaaaaaaa", "content": "1"}
    for provider in ("openai", "mistral"):
        assert chat(provider, HELLO, asked, result)["messages"] == [HELLO, asked, result]
    understood = {"role": "assistant", "content": "OK"}
    assert chat("mistral", HELLO, asked, result, nothing, AND)["messages"] == [HELLO, asked, result, understood, AND]


def test_an_empty_list_of_tools_is_none_at_all() -> None:
    assert chat("openai", HELLO, tools=[], tool_choice="auto").keys() == {"model", "messages"}
    assert chat("openai", HELLO, tools=[], tool_choice="required")["tool_choice"] == "required"
    own = {"openai": {"tools": [{"type": "custom", "custom": {"name": "c"}}]}}
    assert chat("openai", HELLO, tool_choice="none", provider_options=own)["tool_choice"] == "none"


def chat(provider: str, *messages: Json, **members: Any) -> Json:
    call = msgspec.convert({"model": "m", "messages": messages, **members}, ChatCall)
    target = Target(provider, ModelFacts(id="m", name="M"), "https://host.example/v1")
    body: Json = json.loads(provider_named(provider).wires["chat_completions"].render(call, target).body)
    return body
