"""A stream that says nothing for a while is kept open by comments, which stop at its end."""

from __future__ import annotations

import asyncio
import json

from gateway.entry.chat import chat_app
from tests.asgi import call
from tests.unit.conftest import KEY, Gateway
from tests.unit.test_chat_function import HELLO, STREAM


async def test_silence_is_filled_with_comments(gateway: Gateway) -> None:
    comments = asyncio.Event()
    app = chat_app(gateway.world, keep_alive_s=0.01)
    gateway.answers(200, STREAM[0], STREAM[1], comments.wait, *STREAM[2:], content_type="text/event-stream")

    async def tapped(scope, receive, send):  # type: ignore[no-untyped-def]
        async def tap(message):  # type: ignore[no-untyped-def]
            if b": keep-alive" in message.get("body", b""):
                comments.set()
            await send(message)

        await app(scope, receive, tap)

    body = json.dumps({**HELLO, "stream": True}).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    async with asyncio.timeout(5):
        answer = await call(tapped, body, headers)
    assert ": keep-alive" in answer.events
    assert answer.events[-1] == "[DONE]"
    assert answer.log[-1] == "last"
