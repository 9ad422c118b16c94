"""Calls, answers and streams in Converse's words, for the tests of that wire."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.http import HttpResponse
from gateway.model.reply import Chunk, Reply
from gateway.providers.contract import Target
from gateway.providers.wire.converse import Converse
from tests.providers.framing import aws_event

Members = dict[str, Any]

WIRE = Converse()
BASE_URL = "https://bedrock-runtime.eu-west-1.amazonaws.com"
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}


def target(**facts: Any) -> Target:
    model = ModelFacts(**{"id": "maker.model-1", "name": "Model", "api": "converse", **facts})
    return Target("bedrock", model, BASE_URL)


def call(**members: Any) -> ChatCall:
    return msgspec.convert({"model": "maker.model-1", "messages": HELLO, **members}, ChatCall)


def rendered(asked: ChatCall, **facts: Any) -> Members:
    body: Members = json.loads(WIRE.render(asked, target(**facts)).body)
    return body


def turns(*messages: Members, **facts: Any) -> list[Members]:
    found: list[Members] = rendered(call(messages=list(messages), tools=[WEATHER]), **facts)["messages"]
    return found


def parsed(*blocks: Members, stop: str = "end_turn", **members: Any) -> Reply:
    message = {"role": "assistant", "content": list(blocks)}
    answer = {"output": {"message": message}, "stopReason": stop, "usage": USAGE, **members}
    return WIRE.parse(HttpResponse(200, {}, json.dumps(answer).encode()), target())


def delta(index: int, **piece: Any) -> tuple[str, Members]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": piece}


def start(index: int, **begun: Any) -> tuple[str, Members]:
    return "contentBlockStart", {"contentBlockIndex": index, "start": begun}


def end(index: int) -> tuple[str, Members]:
    return "contentBlockStop", {"contentBlockIndex": index}


STOP: tuple[str, Members] = ("messageStop", {"stopReason": "end_turn"})


def streamed(*events: tuple[str, Any]) -> list[Chunk]:
    parser = WIRE.stream(target())
    data = b"".join(aws_event(name, payload) for name, payload in events)
    return [*parser.feed(data), *parser.close()]
