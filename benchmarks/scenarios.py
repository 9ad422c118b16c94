"""The requests that are measured, as a client sends them to the gateway and as the gateway sends them on.

`[[...]]` in a prompt steers the provider simulator (local/simulators/switches.py) and is no part of its echo.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PROVIDER = "openai"
REPLY_TOKENS = 200
FIRST_TEXT = b"quick brown"
"""Of the simulator's echo, whose first piece has it; no event before that one has."""
_WORDS = "The quick brown fox jumps over the lazy dog and then looks back. "


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`function`: its folder below functions/. `path`: below /v1, of the gateway and of the provider."""

    function: str
    path: str
    model: str


CHAT = Endpoint("chat", "/chat/completions", "gpt-4o-mini")
EMBEDDINGS = Endpoint("embeddings", "/embeddings", "text-embedding-3-small")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request: what a client `asked` and what is `sent` to the provider for it, both without the model.
    `slice_requests`: how many are sent in one slice of a full run; `chunks`: in a stream's reply, 0 for a reply that
    is not streamed.
    """

    name: str
    asked: dict[str, Any]
    sent: dict[str, Any]
    slice_requests: int = 0
    chunks: int = 0
    endpoint: Endpoint = CHAT

    def client_body(self) -> bytes:
        """What a client of the gateway sends."""
        return self.body_for(f"{PROVIDER}/{self.endpoint.model}")

    def body_for(self, model: str) -> bytes:
        """What a client sends to any gateway, where the model has this name."""
        return _encoded({"model": model, **self.asked})

    def provider_body(self) -> bytes:
        """What the gateway makes of it for the provider, so that the direct call asks for the same work."""
        return _encoded({"model": self.endpoint.model, **self.sent})


def whole(name: str, prompt: str, slice_requests: int = 0) -> Scenario:
    """A chat that is answered in one piece."""
    said = _said(prompt)
    asked, sent = {"max_completion_tokens": REPLY_TOKENS}, {"max_tokens": REPLY_TOKENS}
    return Scenario(name, {**said, **asked}, {**said, **sent}, slice_requests)


def streamed(name: str, prompt: str, chunks: int, slice_requests: int = 0) -> Scenario:
    """A chat whose answer comes in events."""
    asked = {**_said(prompt), "stream": True}
    return Scenario(name, asked, {**asked, "stream_options": {"include_usage": True}}, slice_requests, chunks)


def vectors(name: str, texts: int, encoding_format: str, slice_requests: int) -> Scenario:
    """One vector for each of `texts` different texts."""
    body = {"input": [f"{number} {prompt_of(200)}" for number in range(texts)], "encoding_format": encoding_format}
    return Scenario(name, body, body, slice_requests, endpoint=EMBEDDINGS)


def prompt_of(length: int) -> str:
    """English-looking text of exactly `length` characters."""
    return (_WORDS * (length // len(_WORDS) + 1))[:length]


def _said(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}]}


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


CHAT_1KB = whole("chat 1 KB", prompt_of(1_000), 200)
CHAT_32KB = whole("chat 32 KB", prompt_of(32_000), 100)
FIRST_BYTE = streamed("first byte of a stream", f"[[chunks=4 chunk_delay_s=0.002]] {prompt_of(1_000)}", 4, 100)
BURST = streamed("stream, 1,000 chunks at once", "[[chunks=1000]] again", 1_000, 24)
PACED = streamed("stream, 100 chunks 2 ms apart", "[[chunks=100 chunk_delay_s=0.002]] again", 100, 4)
FLOATS = vectors("64 embeddings of 1,536 floats", 64, "float", 40)
BASE64 = vectors("64 embeddings of 1,536 floats in base64", 64, "base64", 40)
ALL = (CHAT_1KB, CHAT_32KB, FIRST_BYTE, BURST, PACED, FLOATS, BASE64)
