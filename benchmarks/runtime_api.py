"""A Lambda Runtime API on a loopback socket for one runtime process: hands out an event, reads the streamed answer.

Blocking and bare, so that what is timed is the function and not this. What the real API does beyond that is tested
elsewhere (tests/unit/runtime).
"""

from __future__ import annotations

import itertools
import socket
import time
from types import TracebackType
from typing import Self

from benchmarks.exchange import EVENT, LAST_CHUNK, TIMEOUT_S, Stopwatch, Timed
from local.console import Problem

_NEXT = b"GET /2018-06-01/runtime/invocation/next "
_EVENT_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: invocation-%d\r\n"
    b"Lambda-Runtime-Deadline-Ms: %d\r\nLambda-Runtime-Trace-Id: Root=1-2-3\r\n"
    b"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:chat\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class RuntimeApi:
    """Serves one runtime with one poller; methods raise Problem when it does not do its part."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_S)
        self._poll: socket.socket | None = None
        self._waiting = False
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        if self._poll is not None:
            self._poll.close()

    @property
    def authority(self) -> str:
        """Value of AWS_LAMBDA_RUNTIME_API."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def await_poll(self) -> None:
        """Until the runtime asks for the next event: it has settled the one before."""
        if self._waiting:
            return
        if self._poll is None:
            self._poll = self._accept()
        request = _read_head(self._poll)
        if not request.startswith(_NEXT):
            raise Problem(f"The function did not ask for an event: {request[:1000]!r}")
        self._waiting = True

    def invoke(self, event: bytes, mark: bytes = EVENT) -> Timed:
        """Hand out `event` and take the answer; the time starts when the event leaves. `mark` is of the first piece."""
        self.await_poll()
        assert self._poll is not None  # noqa: S101 - await_poll opened it
        self._waiting = False
        head = _EVENT_HEAD % (next(self._numbers), (time.time() + 60) * 1000, len(event))
        started_s = time.perf_counter()
        self._poll.sendall(head + event)
        with self._accept() as answer:
            watch = Stopwatch(answer, started_s, mark)
            while not watch.received.endswith(LAST_CHUNK):
                watch.read()
            timed = watch.stop()
            answer.sendall(_ACCEPTED)
            answer.recv(1)  # the runtime closes
        if b'"statusCode":200' not in timed.raw[:2000]:
            raise Problem(f"The function refused a request: {timed.raw[:2000]!r}")
        return timed

    def _accept(self) -> socket.socket:
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            raise Problem(f"The function was silent for {TIMEOUT_S:.0f} s.") from None
        connection.settimeout(TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def _read_head(peer: socket.socket) -> bytes:
    watch = Stopwatch(peer, 0.0)
    while b"\r\n\r\n" not in watch.received:
        watch.read()
    return bytes(watch.received)
