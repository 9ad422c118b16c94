"""The requests that are measured, as a client sends them to the gateway and as the gateway sends them on.

`[[...]]` in a prompt steers the provider simulator (local/simulators/switches.py) and is no part of its echo.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MODEL = "gpt-4o-mini"
PROVIDER = "openai"
REPLY_TOKENS = 200
_WORDS = "The quick brown fox jumps over the lazy dog and then looks back. "


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request. `slice_requests`: how many are sent in one slice of a full run; `chunks`: in a stream's
    reply, 0 for a reply that is not streamed.
    """

    name: str
    prompt: str
    slice_requests: int
    chunks: int = 0

    def client_body(self) -> bytes:
        """What a client of the gateway sends."""
        return _encoded(
            f"{PROVIDER}/{MODEL}",
            self.prompt,
            {"stream": True} if self.chunks else {"max_completion_tokens": REPLY_TOKENS},
        )

    def provider_body(self) -> bytes:
        """What the gateway makes of it for the provider, so that the direct call asks for the same work."""
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        return _encoded(MODEL, self.prompt, streamed if self.chunks else {"max_tokens": REPLY_TOKENS})


def prompt_of(length: int) -> str:
    """English-looking text of exactly `length` characters."""
    return (_WORDS * (length // len(_WORDS) + 1))[:length]


def _encoded(model: str, prompt: str, options: dict[str, Any]) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **options}
    return json.dumps(body, separators=(",", ":")).encode()


CHAT_1KB = Scenario("chat 1 KB", prompt_of(1_000), 200)
CHAT_32KB = Scenario("chat 32 KB", prompt_of(32_000), 100)
FIRST_BYTE = Scenario("first byte of a stream", f"[[chunks=4 chunk_delay_s=0.002]] {prompt_of(1_000)}", 100, chunks=4)
BURST = Scenario("stream, 1,000 chunks at once", "[[chunks=1000]] again", 8, chunks=1_000)
PACED = Scenario("stream, 100 chunks 2 ms apart", "[[chunks=100 chunk_delay_s=0.002]] again", 4, chunks=100)
ALL = (CHAT_1KB, CHAT_32KB, FIRST_BYTE, BURST, PACED)
