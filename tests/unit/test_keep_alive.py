"""A stream that says nothing for a while is kept open by comments, which stop at its end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.entry.chat import chat_app
from tests.asgi import Answer, call
from tests.unit.conftest import KEY, Gateway
from tests.unit.test_chat_function import HELLO, STREAM
from tests.unit.test_hooks import hook, text, with_hooks


async def streamed(gateway: Gateway, commented: asyncio.Event) -> Answer:
    """With a comment every 10 ms; `commented` is set by the first."""
    app = chat_app(gateway.world, keep_alive_s=0.01)

    async def tapped(scope, receive, send):  # type: ignore[no-untyped-def]
        async def tap(message):  # type: ignore[no-untyped-def]
            if b": keep-alive" in message.get("body", b""):
                commented.set()
            await send(message)

        await app(scope, receive, tap)

    body = json.dumps({**HELLO, "stream": True}).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    async with asyncio.timeout(5):
        return await call(tapped, body, headers)


async def test_silence_is_filled_with_comments(gateway: Gateway) -> None:
    commented = asyncio.Event()
    gateway.answers(200, STREAM[0], STREAM[1], commented.wait, *STREAM[2:], content_type="text/event-stream")
    answer = await streamed(gateway, commented)
    assert ": keep-alive" in answer.events
    assert answer.events[-1] == "[DONE]"
    assert answer.log[-1] == "last"


async def test_a_stream_that_may_yet_be_refused_with_a_status_says_nothing(gateway: Gateway) -> None:
    several_beats = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, several_beats.set)
    gateway.answers(200, several_beats.wait, *STREAM, content_type="text/event-stream")
    answer = await streamed(gateway, asyncio.Event())
    assert ": keep-alive" not in answer.events
    assert text(answer.events) == "Hi!"


@pytest.mark.parametrize("action", ["allow", "block"])
async def test_one_that_is_held_back_is_kept_open_meanwhile(gateway: Gateway, action: str) -> None:
    commented = asyncio.Event()

    async def judge() -> dict[str, Any]:
        await commented.wait()
        return {"action": action}

    with_hooks(gateway, hook(stages=["post_response"], timeout_ms=5_000)).answers["lambda"] = judge
    gateway.answers(200, *STREAM, content_type="text/event-stream")
    answer = await streamed(gateway, commented)
    first, *_, last = answer.events
    assert (answer.status, first) == (200, ": keep-alive")
    assert last == "[DONE]" if action == "allow" else last["error"]["code"] == "response_blocked"
    assert text(answer.events) == ("Hi!" if action == "allow" else "")
