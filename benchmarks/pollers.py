"""A Runtime API that many pollers of one process ask at once, as on Lambda Managed Instances, and what a request costs
that process then. What hands out and answers has the other core, so nothing waits for it in CPU time.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.exchange import LAST_CHUNK, TIMEOUT_S
from local.console import Problem

_EVENT_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: invocation-%d\r\n"
    b"Lambda-Runtime-Deadline-Ms: %d\r\nContent-Length: %d\r\n\r\n"
)
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_POLL = b"GET /2018-06-01/runtime/invocation/next "


class Pollers:
    """`count` of them, each handed `event` as long as any are left to hand out. Used from one event loop."""

    def __init__(self, count: int, event: bytes) -> None:
        self._count, self._event = count, event
        self._left = self._number = self._polling = 0
        self._changed = asyncio.Condition()
        self._refused: bytes | None = None
        self._is_over = False
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> str:
        """Value of AWS_LAMBDA_RUNTIME_API."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        return "{}:{}".format(*self._server.sockets[0].getsockname())

    async def serve(self, requests: int) -> float:
        """Until so many more are answered and all poll again; the seconds that it took. Raises Problem."""
        await self._all_poll()
        started_s = time.perf_counter()
        async with self._changed:
            self._left = requests
            self._changed.notify_all()
        await self._all_poll()
        return time.perf_counter() - started_s

    async def aclose(self) -> None:
        """Once the function has ended, or with it."""
        if self._server is not None:
            self._server.close()
        async with self._changed:
            self._is_over = True
            self._changed.notify_all()
        await asyncio.gather(*self._serving)

    async def _all_poll(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S), self._changed:
                await self._changed.wait_for(lambda: self._refused or (not self._left and self._polling == self._count))
        except TimeoutError:
            raise Problem(f"{self._polling} of {self._count} pollers asked for an event in time.") from None
        if self._refused is not None:
            raise Problem(f"The function refused a request: {self._refused[:2000]!r}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(_POLL):
                    await self._hand_out(writer)
                else:
                    await self._take(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a response is a connection of its own, and the function ends with all of its pollers
        finally:
            writer.close()

    async def _hand_out(self, writer: asyncio.StreamWriter) -> None:
        async with self._changed:
            self._polling += 1
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._left or self._is_over)
            if self._is_over:
                raise ConnectionAbortedError
            self._left -= 1
            self._polling -= 1
            self._number += 1
        writer.write(_EVENT_HEAD % (self._number, (time.time() + 60) * 1000, len(self._event)) + self._event)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = await reader.readuntil(LAST_CHUNK)
        writer.write(_ACCEPTED)
        if b'"statusCode":200' not in answer[:2000]:
            async with self._changed:
                self._refused = answer
                self._changed.notify_all()
