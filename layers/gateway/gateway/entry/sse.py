"""Server-sent events on their way to a client."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from gateway.entry.http import Responder

SSE_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
KEEP_ALIVE_S = 15.0
_encode = msgspec.json.Encoder().encode


def event(value: Any) -> bytes:
    return b"data: " + _encode(value) + b"\n\n"


class Pulse:
    """Writes the stream, and a comment whenever nothing was written for `every_s`, so that nobody hangs up."""

    def __init__(self, responder: Responder, every_s: float) -> None:
        self._responder, self._every_s = responder, every_s
        self._loop = asyncio.get_running_loop()
        self._written_s = self._loop.time()
        self._task = self._loop.create_task(self._beat())

    async def write(self, body: bytes, last: bool) -> None:
        self._written_s = self._loop.time()
        if last:
            self.stop()
        await self._responder.write(body, last=last)

    def stop(self) -> None:
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            due_s = self._written_s + self._every_s
            if (wait_s := due_s - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
            else:
                await self.write(b": keep-alive\n\n", last=False)
