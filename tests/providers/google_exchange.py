"""Calls and answers in Google's words, for the tests of that wire."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.http import HttpResponse
from gateway.model.reply import Chunk, Reply
from gateway.providers.contract import Target
from gateway.providers.wire.gemini import Gemini

Members = dict[str, Any]

WIRE = Gemini()
HELLO = [{"role": "user", "content": "Hello"}]
PIXEL = {"mimeType": "image/png", "data": "cG5n"}
DRAFT: Members = {"inlineData": {"mimeType": "image/png", "data": "ZHJhZnQ="}, "thought": True}
SERVER: Members = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s"}, "thoughtSignature": "c2VydmVy"}


def target(**facts: Any) -> Target:
    model = ModelFacts(**{"id": "gemini-test", "name": "Gemini Test", "api": "generate_content", **facts})
    return Target("google", model, "https://generativelanguage.googleapis.com")


def call(**members: Any) -> ChatCall:
    return msgspec.convert({"model": "gemini-test", "messages": HELLO, **members}, ChatCall)


def rendered(asked: ChatCall, **facts: Any) -> Members:
    body: Members = json.loads(WIRE.render(asked, target(**facts)).body)
    return body


def candidate(parts: list[Members], finish: str | None = "STOP", **more: Any) -> Members:
    return {"content": {"parts": parts, "role": "model"}, **({"finishReason": finish} if finish else {}), **more}


def parsed(*candidates: Members, **members: Any) -> Reply:
    body = json.dumps({"candidates": candidates, "responseId": "r", **members}).encode()
    return WIRE.parse(HttpResponse(200, {}, body), target())


def streamed(*answers: Any) -> list[Chunk]:
    parser = WIRE.stream(target())
    data = b"".join(b"data: %b\r\n\r\n" % json.dumps(answer).encode() for answer in answers)
    return [*parser.feed(data), *parser.close()]


def sent_back(reply: Reply, **facts: Any) -> list[Members]:
    """The parts of a reply's message, after it went through a client's JSON and came back as history."""
    message = msgspec.json.decode(msgspec.json.encode(reply.choices[0].message))
    parts: list[Members] = rendered(call(messages=[*HELLO, message, *HELLO]), **facts)["contents"][1]["parts"]
    return parts


def text(said: str, signature: str | None = None) -> Members:
    return {"text": said, **({"thoughtSignature": signature} if signature else {})}


def called(name: str, signature: str | None = None) -> Members:
    part: Members = {"functionCall": {"id": f"id-{name}", "name": name, "args": {"b": 2, "a": 1.5}}}
    return {**part, **({"thoughtSignature": signature} if signature else {})}
