"""A provider in memory that has the files and the messages of both Google and Anthropic."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.model.http import HttpRequest, Sending
from tests.fakes import ScriptedIncoming, note_sent

ORIGIN = "https://generativelanguage.googleapis.com"

GEMINI_REPLY = {
    "candidates": [{"content": {"parts": [{"text": "Seen."}], "role": "model"}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1, "totalTokenCount": 10},
    "modelVersion": "gemini",
    "responseId": "r",
}
CLAUDE_REPLY = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Seen."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 1},
}


def whole(status: int, body: Any, **headers: str) -> ScriptedIncoming:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return ScriptedIncoming(status, {"content-type": "application/json", **named}, [json.dumps(body).encode()])


@dataclass
class FakeProvider:
    """Answers as the files and messages APIs of Google and Anthropic do. `overrides`: by method and end of the path."""

    states: list[str] = field(default_factory=lambda: ["ACTIVE"])
    upload_root: str = f"{ORIGIN}/upload/v1beta/files"
    overrides: dict[str, ScriptedIncoming | Exception] = field(default_factory=dict)
    sent: list[HttpRequest] = field(default_factory=list)
    on_request: Callable[[str], None] = lambda _what: None

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[ScriptedIncoming]:
        self.sent.append(request)
        note_sent(sending)
        what = f"{request.method} {request.url.partition('?')[0].rpartition('.com/')[2]}"
        self.on_request(what)
        answer = next((value for end, value in self.overrides.items() if what.startswith(end)), None)
        if answer is None:
            answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        yield answer

    def _answer(self, request: HttpRequest) -> ScriptedIncoming:
        if request.headers.get("x-goog-upload-command") == "start":
            number = str(len(self.sent))
            return whole(
                200, {}, x_goog_upload_status="active", x_goog_upload_url=f"{self.upload_root}?upload_id={number}"
            )
        if "upload_id=" in request.url:
            return whole(200, {"file": self._file(request.url.rpartition("=")[2])})
        if request.method == "DELETE":
            return whole(200, {})
        if "/v1beta/files/" in request.url:
            return whole(200, self._file(request.url.rpartition("/f")[2]))
        if request.url.endswith("/v1/files"):
            return whole(200, {"id": f"file_{len(self.sent)}", "type": "file"})
        return whole(200, CLAUDE_REPLY if request.url.endswith("/messages") else GEMINI_REPLY)

    def _file(self, number: str) -> dict[str, str]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"name": f"files/f{number}", "uri": f"{ORIGIN}/v1beta/files/f{number}", "state": state}

    @property
    def asked(self) -> list[str]:
        """What was asked for, in order: "POST upload/v1beta/files"."""
        return [f"{request.method} {request.url.partition('?')[0].rpartition('.com/')[2]}" for request in self.sent]

    @property
    def message(self) -> list[Any]:
        """The content of the last message that a model got, without its first text."""
        body = next(json.loads(request.body) for request in reversed(self.sent) if b"Look" in request.body)
        first = (body.get("contents") or body.get("messages"))[0]
        return list(first.get("parts") or first["content"])[1:]
