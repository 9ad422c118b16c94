"""Calls and results that another provider began go on at each: with ids it takes, and media where a model sees them."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named

Json = dict[str, Any]

HELLO = {"role": "user", "content": "Hello"}
AND = {"role": "user", "content": "And?"}
OK = {"role": "assistant", "content": "OK"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}
TOOL = {"type": "function", "function": {"name": "f"}}
FOREIGN = ["functions.look up:0", "call_" + "x" * 90, "6SmIVvgTb"]
TAKEN = [
    ("openai", "chat_completions", r".{1,40}"),
    ("openai", "responses", r".{1,64}"),
    ("mistral", "chat_completions", r"[a-zA-Z0-9]{9}"),
    ("anthropic", "messages", r"[a-zA-Z0-9_-]+"),
    ("bedrock", "converse", r"[a-zA-Z0-9_-]{1,64}"),
]


def body_of(provider: str, api: Any, *messages: Json) -> Json:
    call = msgspec.convert({"model": "m", "messages": messages, "tools": [TOOL]}, ChatCall)
    target = Target(provider, ModelFacts(id="m", name="M", api=api), "https://host.example/v1")
    body: Json = json.loads(provider_named(provider).wires[api].render(call, target).body)
    return body


def calls(*ids: str) -> Json:
    made = [{"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for call_id in ids]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(call_id: str, *content: Json) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": list(content) or f"of {call_id}"}


def text(said: str) -> Json:
    return {"type": "text", "text": said}


@pytest.mark.parametrize(("provider", "api", "taken"), TAKEN)
def test_ids_of_another_provider(provider: str, api: str, taken: str) -> None:
    body = json.dumps(body_of(provider, api, HELLO, calls(*FOREIGN), *(result(call_id) for call_id in FOREIGN)))
    named = re.findall(r'"(?:tool_use_id|toolUseId|tool_call_id|call_id|id)": ?"([^"]*)"', body)
    assert named[:3] == named[3:]
    assert len(set(named)) == 3
    assert all(re.fullmatch(taken, call_id) for call_id in named)
    assert FOREIGN[2] in named


def test_media_of_results_follow_all_of_them_in_a_user_message() -> None:
    results = [result("a", text("One"), IMAGE), result("b", IMAGE, IMAGE), result("c")]
    sent = body_of("openai", "chat_completions", HELLO, calls("a", "b", "c"), *results, AND)["messages"]
    assert sent[2:] == [
        result("a", text("One")),
        {"role": "tool", "tool_call_id": "b", "content": "Its media follow."},
        result("c"),
        {
            "role": "user",
            "content": [text("Media of the result of a:"), IMAGE, text("Media of the result of b:"), IMAGE, IMAGE],
        },
        AND,
    ]


@pytest.mark.parametrize("after", [[], [{"role": "assistant", "content": "Fine"}]])
def test_media_of_the_last_results(after: list[Json]) -> None:
    sent = body_of("groq", "chat_completions", HELLO, calls("a"), result("a", IMAGE), *after)["messages"]
    assert sent[3:] == [{"role": "user", "content": [text("Media of the result of a:"), IMAGE]}, *after]


def test_no_user_message_follows_results_at_once_where_that_is_refused() -> None:
    ids = ["aaaaaaaaa", "bbbbbbbbb"]
    started = [HELLO, calls(*ids), *(result(call_id) for call_id in ids)]
    assert body_of("mistral", "chat_completions", *started, AND)["messages"][4:] == [OK, AND]
    assert body_of("mistral", "chat_completions", *started, OK, AND)["messages"][4:] == [OK, AND]
    assert body_of("mistral", "chat_completions", *started)["messages"][4:] == []
    seen = [HELLO, calls(ids[0]), result(ids[0], IMAGE)]
    shown = {"role": "user", "content": [text("Media of the result of aaaaaaaaa:"), IMAGE]}
    assert body_of("mistral", "chat_completions", *seen)["messages"][3:] == [OK, shown]
    assert body_of("openai", "chat_completions", *started, AND)["messages"][4:] == [AND]
