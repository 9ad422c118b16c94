"""Reasoning goes back to the model that signed it, whoever hosts it, and to no other."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named
from gateway.providers.wire.model_mark import without_foreign
from tests.providers.framing import aws_event

Json = dict[str, Any]

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
THOUGHT: Json = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
SEALED: Json = {"type": "redacted_thinking", "data": "aGlkZGVu"}
REASONED: Json = {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}}
USE: Json = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
APIS = {"anthropic": "messages", "azure": "messages", "vertex": "messages", "bedrock": "converse"}


def target(provider: str, model: str) -> Target:
    facts = ModelFacts(id=model, name=model, api=APIS[provider], dialect="anthropic")
    return Target(provider, facts, "https://host.example", {"project": "p"})


def answered(provider: str, model: str) -> Json:
    """The message of a reply that has reasoned and calls a tool, as the client has it."""
    wire = provider_named(provider).wires[APIS[provider]]
    if provider == "bedrock":
        use = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}
        said: Json = {"output": {"message": {"content": [REASONED, {"text": "Well"}, use]}}, "stopReason": "tool_use"}
    else:
        said = {"type": "message", "id": "m", "content": [THOUGHT, SEALED, {"type": "text", "text": "Well"}, USE]}
    reply = wire.parse(HttpResponse(200, {}, json.dumps(said).encode()), target(provider, model))
    message: Json = msgspec.to_builtins(reply.choices[0].message)
    return message


def returned(message: Json, provider: str, model: str) -> list[Json]:
    """The blocks that the message becomes in the next turn."""
    history = [
        {"role": "user", "content": "Hi"},
        message,
        {"role": "tool", "tool_call_id": "t1", "content": "1"},
    ]
    call = msgspec.convert({"model": model, "messages": history, "tools": TOOLS}, ChatCall)
    wire = provider_named(provider).wires[APIS[provider]]
    body = json.loads(wire.render(call, target(provider, model)).body)
    blocks: list[Json] = body["messages"][1]["content"]
    return blocks


def kinds(blocks: list[Json]) -> list[str]:
    return [str(block.get("type") or next(iter(block))) for block in blocks]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-haiku-4-5"),
        ("anthropic", "claude-haiku-4-5-20251001"),
        ("vertex", "claude-haiku-4-5@20251001"),
        ("azure", "claude-haiku-4-5"),
    ],
)
def test_the_same_model_gets_its_reasoning_back_whoever_hosts_it(provider: str, model: str) -> None:
    message = answered("anthropic", "claude-haiku-4-5-20251001")
    assert returned(message, provider, model) == [THOUGHT, SEALED, {"type": "text", "text": "Well"}, USE]


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-haiku-4-5-5", "claude-haiku-4"])
def test_another_model_gets_the_rest(model: str) -> None:
    message = answered("anthropic", "claude-haiku-4-5")
    assert returned(message, "anthropic", model) == [{"type": "text", "text": "Well"}, USE]
    assert kinds(returned(message, "bedrock", f"anthropic.{model}-v1:0")) == ["text", "toolUse"]


def test_bedrock_gives_back_its_own_and_that_of_the_same_claude_elsewhere() -> None:
    here = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
    for message in (answered("bedrock", here), answered("anthropic", "claude-haiku-4-5")):
        blocks = returned(message, "bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0")
        assert kinds(blocks) == ["reasoningContent", "text", "toolUse"]
        assert blocks[0] == REASONED
    assert kinds(returned(answered("bedrock", here), "bedrock", "anthropic.claude-opus-4-8")) == ["text", "toolUse"]


@pytest.mark.parametrize(
    ("marked", "model", "same"),
    [
        ("deepseek.v3.1", "deepseek.v3.2", False),
        ("maker.model-4.5", "maker.other-4.5", False),
        ("model-4.5", "eu.maker.model-4.5", True),
        ("maker.model-4.5-v1:0", "us-gov.maker.model-4.5-20251001-v1:0", True),
        ("model-4.5", "other-3.5", False),
        ("ai21.jamba-1.5", "jamba-1.5", True),
        ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.maker.model-4.5", "global.maker.model-4.5", True),
    ],
)
def test_a_dot_in_a_name_is_part_of_it(marked: str, model: str, same: bool) -> None:
    details = [("at", REASONED | {"type": "reasoningContent"}), ("at", {"type": "model", "model": marked})]
    assert (without_foreign(details, model) == details) is same


def test_reasoning_without_a_mark_is_trusted() -> None:
    message = answered("anthropic", "claude-haiku-4-5")
    message["reasoning_details"] = [THOUGHT]
    assert returned(message, "anthropic", "claude-opus-4-8")[0] == THOUGHT


def test_a_stream_is_marked_as_a_whole_reply_is() -> None:
    pieces = [{"reasoningContent": {"text": "Hm"}}, {"reasoningContent": {"signature": "c2ln"}}]
    deltas = [aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": piece}) for piece in pieces]
    stop = [
        aws_event("contentBlockStop", {"contentBlockIndex": 0}),
        aws_event("messageStop", {"stopReason": "end_turn"}),
    ]
    parser = provider_named("bedrock").wires["converse"].stream(target("bedrock", "x.y-v1:0"))
    message = fold([chunk for event in [*deltas, *stop] for chunk in parser.feed(event)]).choices[0].message
    assert message.reasoning_details == [
        {"type": "reasoningContent", **REASONED},
        {"type": "model", "model": "x.y-v1:0"},
    ]
