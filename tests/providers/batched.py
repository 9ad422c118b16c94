"""What the suites of batches share: wires, targets and calls."""

from __future__ import annotations

import json
from typing import Any

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, UserMessage
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.providers.contract import (
    BatchResult,
    BatchWire,
    Carrier,
    Target,
)
from gateway.providers.lookup import provider_named

Members = dict[str, Any]
NOISE = "0123456789abcdef"
API = {
    **dict.fromkeys(("openai", "groq", "mistral"), "chat_completions"),
    "anthropic": "messages",
    "google": "generate_content",
}
MODEL = {
    "openai": "gpt-4o-mini",
    "groq": "llama-3.1-8b-instant",
    "mistral": "mistral-small-latest",
    "anthropic": "claude-haiku-4-5",
    "google": "gemini-x",
}
BATCHED = tuple(API)


def target(provider: str, model: str | None = None, api: str | None = None) -> Target:
    facts = ModelFacts(id=model or MODEL[provider], name="", api=api or API[provider])
    return Target(provider, facts, provider_named(provider).base_url or "")


def chats(provider: str) -> BatchWire[ChatCall, Any]:
    return provider_named(provider).batches.chat[API[provider]]


def chat(text: str = "Hello", **members: Any) -> ChatCall:
    return ChatCall(model="x", messages=[UserMessage(content=text)], max_tokens=50, **members)


def embedding(provider: str) -> BatchWire[EmbeddingsCall, Any]:
    (wire,) = provider_named(provider).batches.embeddings.values()
    return wire


def ok(**members: Any) -> HttpResponse:
    return HttpResponse(200, {}, json.dumps(members).encode())


def lines(*items: Members) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def read(wire: BatchWire[Any, Any], to: Target, data: bytes, size: int = 7) -> list[BatchResult[Any]]:
    parser = wire.parser(to)
    found = [result for at in range(0, len(data), size) for result in parser.feed(data[at : at + size])]
    return [*found, *parser.close()]


def plain(step: object) -> HttpRequest:
    assert isinstance(step, HttpRequest)
    return step


def carrier(step: object) -> Carrier:
    assert isinstance(step, Carrier)
    return step
