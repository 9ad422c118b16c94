"""Calls, answers and streams in the words of OpenAI's responses, for the tests of that wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.fold import fold
from gateway.model.http import HttpResponse
from gateway.model.reply import Reply
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named
from gateway.providers.wire.openai_responses import OpenAiResponses

Members = dict[str, Any]

HELLO = [{"role": "user", "content": "Hello"}]


def target(provider: str = "openai", **facts: Any) -> Target:
    model = ModelFacts(id="model-1", name="Model 1", api="responses", **facts)
    return Target(provider, model, provider_named(provider).base_url or "")


def call(**members: Any) -> ChatCall:
    return msgspec.convert({"model": "model-1", "messages": HELLO, **members}, ChatCall)


def rendered(asked: ChatCall, provider: str = "openai", **facts: Any) -> Members:
    wire = provider_named(provider).wires["responses"]
    body: Members = json.loads(wire.render(asked, target(provider, **facts)).body)
    return body


def parsed(output: list[Members], provider: str = "openai", **members: Any) -> Reply:
    whole = {"id": "resp_1", "status": "completed", "store": False, "output": output, **members}
    wire = provider_named(provider).wires["responses"]
    return wire.parse(HttpResponse(200, {}, json.dumps(whole).encode()), target(provider))


def streamed(output: list[Members], piece_chars: int = 3) -> Reply:
    """The same output as the provider streams it."""
    stream = OpenAiResponses().stream(target())
    return fold(chunk for event in _events(output, piece_chars) for chunk in stream.feed(event))


def _events(output: list[Members], piece_chars: int) -> Iterator[bytes]:
    whole = {"id": "resp_1", "status": "completed", "store": False, "output": output}
    yield _event("response.created", response={**whole, "status": "in_progress", "output": []})
    for index, item in enumerate(output):
        yield _event("response.output_item.added", output_index=index, item={**item, "arguments": "", "content": []})
        kind, whole_text = _streamed(item)
        for start in range(0, len(whole_text), piece_chars):
            piece = whole_text[start : start + piece_chars]
            yield _event(f"response.{kind}.delta", output_index=index, delta=piece)
        yield _event("response.output_item.done", output_index=index, item=item)
    yield _event("response.completed", response=whole)


def _event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def said(item: Members) -> str:
    return "".join(part.get("text", "") for part in item["content"]) if item["type"] == "message" else ""


def _streamed(item: Members) -> tuple[str, str]:
    """The kind of an item's deltas, and what they amount to."""
    if item["type"] == "function_call":
        return "function_call_arguments", item["arguments"]
    return "output_text", said(item)


def message(text: str, **members: Any) -> Members:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content, **members}


def reasoning(name: str) -> Members:
    return {"id": f"rs_{name}", "type": "reasoning", "encrypted_content": f"gAAA+/{name}==", "summary": []}


def function_call(call_id: str) -> Members:
    given = {"arguments": '{"city": "Lima"}', "call_id": call_id, "name": "weather"}
    return {"id": f"fc_{call_id}", "type": "function_call", "status": "completed", **given}


SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
PICTURE = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBORw0KGgo="}
