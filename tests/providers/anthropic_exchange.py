"""Calls, answers and streams in Anthropic's words, for the tests of that wire."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.http import HttpResponse
from gateway.model.reply import Chunk, Reply
from gateway.providers.contract import Target
from gateway.providers.wire.anthropic_messages import AnthropicMessages

Members = dict[str, Any]

WIRE = AnthropicMessages()
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
PIXEL = "data:image/png;base64,aGVsbG8="


def target(**facts: Any) -> Target:
    model = ModelFacts(id="claude-test", name="Claude Test", api="messages", **facts)
    return Target("anthropic", model, "https://api.anthropic.com")


def call(**members: Any) -> ChatCall:
    return msgspec.convert({"model": "claude-test", "messages": HELLO, **members}, ChatCall)


def rendered(asked: ChatCall, **facts: Any) -> Members:
    body: Members = json.loads(WIRE.render(asked, target(**facts)).body)
    return body


def turns(*messages: Members) -> list[Members]:
    found: list[Members] = rendered(call(messages=list(messages)))["messages"]
    return found


def parsed(**members: Any) -> Reply:
    message = {"type": "message", "id": "msg_1", "model": "claude-test", "content": [], **members}
    return WIRE.parse(HttpResponse(200, {}, json.dumps(message).encode()), target())


def sse(*events: Members) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def streamed(*events: Members) -> list[Chunk]:
    parser = WIRE.stream(target())
    return [*parser.feed(sse(*events)), *parser.close()]


def block(index: int, start: Members, *deltas: Members) -> list[Members]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


START: Members = {"type": "message_start", "message": {"id": "msg_1", "model": "claude-test", "usage": {}}}
STOP: Members = {"type": "message_stop"}


def end(reason: str | None, **usage: int) -> Members:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


def cut(index: int, one: Members) -> list[Members]:
    """The events in which a block of a whole answer would be streamed."""
    kind = one["type"]
    if kind == "text":
        halves = [{"type": "text_delta", "text": text} for text in (one["text"][:4], one["text"][4:])]
        return block(index, {"type": "text", "text": ""}, *halves)
    if kind == "thinking":
        thought = {"type": "thinking_delta", "thinking": one["thinking"]}
        signed = {"type": "signature_delta", "signature": one["signature"]}
        return block(index, {"type": "thinking", "thinking": "", "signature": ""}, thought, signed)
    if kind in ("tool_use", "server_tool_use"):
        text = json.dumps(one["input"]) if one["input"] else ""
        halves = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:3], text[3:])]
        return block(index, {**one, "input": {}}, *halves)
    return block(index, one)


def folded(chunks: list[Chunk]) -> Members:
    """The assistant message that the chunks add up to."""
    content, details = "", []
    calls: dict[int, Members] = {}
    for delta in (choice.delta for chunk in chunks for choice in chunk.choices):
        content += delta.content or ""
        details += delta.reasoning_details or []
        for piece in delta.tool_calls or ():
            used = calls.setdefault(piece.index, {"type": "function", "function": {"name": "", "arguments": ""}})
            if piece.id is not None:
                used["id"] = piece.id
            if piece.extra_content is not None:
                used["extra_content"] = piece.extra_content
            if piece.function is not None:
                used["function"]["name"] += piece.function.name or ""
                used["function"]["arguments"] += piece.function.arguments or ""
    return {"content": content, "tool_calls": list(calls.values()), "reasoning_details": details}
