"""Server-sent events on their way to a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any

import msgspec

from gateway.entry.http import Responder
from gateway.pipeline.exchange import Exchange
from gateway.ports import Clock

SSE_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
KEEP_ALIVE_S = 15.0
_encode = msgspec.json.Encoder().encode


def event(value: Any) -> bytes:
    return b"data: " + _encode(value) + b"\n\n"


class Patience(msgspec.Struct, frozen=True):
    """Waits for a client that reads slower than its provider speaks, which is no work of the gateway's."""

    exchange: Exchange
    clock: Clock

    async def wait(self, writing: Awaitable[None]) -> None:
        began_s = self.clock.monotonic_s()
        try:
            await writing
        finally:
            self.exchange.client_wait_s += self.clock.monotonic_s() - began_s


class Pulse:
    """Writes the stream, and a comment whenever nothing was written for `every_s`, so that nobody hangs up.

    `head`: of the answer. `begins`: whether the answer may begin with a comment, as a stream that is held back may be
    silent for long; what is refused after that is refused in the stream.
    """

    def __init__(self, responder: Responder, head: dict[str, str], every_s: float, *, begins: bool) -> None:
        self._responder, self._head, self._every_s, self._begins = responder, head, every_s, begins
        self._loop = asyncio.get_running_loop()
        self._written_s = self._loop.time()
        self._task = self._loop.create_task(self._beat())

    async def write(self, body: bytes, last: bool) -> None:
        self._written_s = self._loop.time()
        if last:
            self.stop()
        if self._responder.status is None:
            await self._responder.start(200, self._head)
        await self._responder.write(body, last=last)

    def stop(self) -> None:
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            due_s = self._written_s + self._every_s
            if (wait_s := due_s - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
            elif self._begins or self._responder.status is not None:
                await self.write(b": keep-alive\n\n", last=False)
            else:
                self._written_s = self._loop.time()


async def write_events(events: AsyncGenerator[Any, None], last: type, pulse: Pulse, patience: Patience) -> None:
    """One event for each; that of type `last` ends the stream. The status waits for the first one."""
    async with aclosing(events):
        try:
            async for one in events:
                ends = isinstance(one, last)
                await patience.wait(pulse.write(event(one) + (b"data: [DONE]\n\n" if ends else b""), ends))
        finally:
            pulse.stop()
