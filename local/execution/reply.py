"""One invocation and its reply, which can be read while it is still being written."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

BUFFERED_BYTES = 1024 * 1024
"""How much a slow reader may leave unread before the function is made to wait."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an invocation has no result: the JSON that Lambda's Invoke would answer with."""

    payload: Any

    @classmethod
    def of(cls, error_type: str, message: str) -> Failure:
        return cls({"errorType": error_type, "errorMessage": message})


class InvocationFailed(Exception):
    """The function failed; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure.payload))
        self.failure = failure


class Reply:
    """The bytes a function answers with, in the order and at the time they come.

    Written by the Runtime API connection (`feed`, `finish`), read once by `chunks` or `read`. `streamed` says that the
    function chose the streaming response mode. `log` is what the function printed before it finished answering.
    """

    def __init__(self) -> None:
        self.streamed = False
        self.log = ""
        self.size_bytes = 0
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._discarding = False
        self._changed = asyncio.Event()
        self._resume: Callable[[], None] | None = None
        self._failure: Failure | None = None
        self._finished = False
        self._when_finished: list[Callable[[], None]] = []

    @property
    def finished(self) -> bool:
        return self._finished

    def when_finished(self, callback: Callable[[], None]) -> None:
        """Call `callback` once nothing more will come; at once if that is so already."""
        if self._finished:
            callback()
        else:
            self._when_finished.append(callback)

    def feed(self, chunk: bytes, resume: Callable[[], None]) -> bool:
        """Add a chunk. False means: hold the writer back until `resume` is called."""
        self.size_bytes += len(chunk)
        if self._finished or self._discarding:
            return True
        self._unread.append(chunk)
        self._unread_bytes += len(chunk)
        self._changed.set()
        if self._unread_bytes <= BUFFERED_BYTES:
            return True
        self._resume = resume
        return False

    def finish(self, failure: Failure | None = None) -> None:
        """Nothing more will come; `failure` makes the reader raise after the last chunk. Later calls do nothing."""
        if self._finished:
            return
        self._finished, self._failure = True, failure
        self._changed.set()
        for callback in self._when_finished:
            callback()

    def discard(self) -> None:
        """Nobody reads on: let the function write the rest into the void, as Lambda does when a client is gone."""
        self._discarding = True
        self._unread.clear()
        self._unread_bytes = 0
        self._let_writer_go()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks as they arrive. Raises InvocationFailed, possibly after some chunks."""
        while True:
            while self._unread:
                chunk = self._unread.popleft()
                self._unread_bytes -= len(chunk)
                if self._unread_bytes <= BUFFERED_BYTES:
                    self._let_writer_go()
                yield chunk
            if self._finished:
                break
            self._changed.clear()
            await self._changed.wait()
        if self._failure is not None:
            raise InvocationFailed(self._failure)

    async def read(self) -> bytes:
        """The whole reply. Raises InvocationFailed."""
        return b"".join([chunk async for chunk in self.chunks()])

    def _let_writer_go(self) -> None:
        resume, self._resume = self._resume, None
        if resume is not None:
            resume()


@dataclass(slots=True)
class Invocation:
    """One event on its way through an execution environment."""

    request_id: str
    payload: bytes
    function_arn: str
    trace_id: str | None = None
    reply: Reply = field(default_factory=Reply)
