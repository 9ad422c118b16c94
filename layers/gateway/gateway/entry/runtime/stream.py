"""One streamed response: a POST to the Runtime API on its own connection, in chunks, closed when it was taken.

A plain socket: an asyncio transport costs 50 to 100 us of CPU more per connection (measured), and every invocation
opens one. Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

from __future__ import annotations

import asyncio
import errno
import socket

from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.connection import Endpoint

STALL_S = 300.0
"""API Gateway gives up a connection on which nothing moved for so long, so nothing comes of waiting longer:
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html"""
_HIGH_WATER_BYTES = 65_536
_READ_BYTES = 4_096


class ResponseStream:
    """Bytes given to `write` leave together at the end of the event loop's tick; nothing waits longer than that.

    When the connection breaks, or the peer takes nothing for STALL_S, writing becomes a no-op: whoever writes is never
    stopped by it. `begun` tells that the response can no longer be taken back.
    """

    def __init__(self, endpoint: Endpoint, invocation: Invocation) -> None:
        self.begun = False
        self.sent_bytes = 0
        self._endpoint = endpoint
        self._invocation = invocation
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._written: list[bytes] = []
        self._written_bytes = 0
        self._unsent = memoryview(b"")
        self._end: bytes | None = None
        self._end_framed = self._flush_scheduled = False
        self._waits_for_room = self._waits_for_reply = False
        self._giving_up: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._reply = bytearray()
        self._status: asyncio.Future[int | None] = self._loop.create_future()

    def open(self) -> None:
        """Start connecting, if that has not been done; a refusal shows when bytes are sent."""
        if self._socket is not None or self._status.done():
            return
        try:
            self._socket = self._endpoint.new_socket()
        except OSError:  # no file descriptor left
            self._close(None)
        else:
            self._socket.connect_ex(self._endpoint.address)

    def write(self, data: bytes) -> None:
        """Queue body bytes; they leave at the end of this tick, or when the peer has room."""
        if self._status.done() or not data:
            return
        self._written.append(data)
        self._written_bytes += len(data)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    async def drain(self) -> None:
        """Wait while more than 64 KiB wait for the peer."""
        if self._congested():
            self._flush()
        while self._congested():
            self._room.clear()
            await self._room.wait()

    def discard(self) -> bool:
        """Drop what was written if no byte of it has left yet; tells whether that was so."""
        if self.begun:
            return False
        self._written.clear()
        self._written_bytes = 0
        return True

    def finish(self, trailers: bytes = b"") -> None:
        """End the body now; `trailers` are whole header lines. The connection closes when the peer has answered."""
        if self._end is None and not self._status.done():
            self._end = b"0\r\n" + trailers + b"\r\n"
            self._flush()

    async def outcome(self, timeout_s: float) -> int | None:
        """The peer's status (202 when it took the response); None when the connection broke or nothing came in time."""
        giving_up = self._loop.call_later(timeout_s, self._close, None)
        try:
            return await self._status
        finally:
            giving_up.cancel()
            self._close(None)

    def _congested(self) -> bool:
        return self._written_bytes + len(self._unsent) > _HIGH_WATER_BYTES

    def _frame(self) -> memoryview:
        parts: list[bytes] = []
        if not self.begun and (self._written or self._end is not None):
            self.begun = True
            parts.append(_request_head(self._endpoint, self._invocation))
        if self._written:
            parts += (b"%x\r\n" % self._written_bytes, *self._written, b"\r\n")
            self._written.clear()
            self._written_bytes = 0
        if self._end is not None and not self._end_framed:
            self._end_framed = True
            parts.append(self._end)
        return memoryview(b"".join(parts))

    def _flush(self) -> None:
        self._flush_scheduled = False
        self.open()
        if self._socket is None:  # closed by now
            return
        try:
            while message := self._unsent or self._frame():
                sent = _send(self._socket, message)
                self.sent_bytes += sent
                self._unsent = message[sent:]
                if self._unsent:
                    self._wait_for_room(self._socket, has_moved=sent > 0)
                    return
        except OSError:
            self._close(None)
            return
        self._all_sent(self._socket)

    def _wait_for_room(self, peer: socket.socket, *, has_moved: bool) -> None:
        if has_moved or not self._waits_for_room:
            self._give_up_later()
        if not self._waits_for_room:
            self._waits_for_room = True
            self._loop.add_writer(peer.fileno(), self._flush)

    def _keep_on(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()

    def _give_up_later(self) -> None:
        self._keep_on()
        self._giving_up = self._loop.call_later(STALL_S, self._close, None)

    def _all_sent(self, peer: socket.socket) -> None:
        if self._waits_for_room:
            self._keep_on()
            self._waits_for_room = False
            self._loop.remove_writer(peer.fileno())
        self._room.set()
        if self._end_framed and not self._waits_for_reply:
            self._waits_for_reply = True
            self._give_up_later()
            self._loop.add_reader(peer.fileno(), self._read_reply, peer)

    def _read_reply(self, peer: socket.socket) -> None:
        try:
            data = peer.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self._reply += data
        if b"\r\n\r\n" in self._reply:
            self._close(int(self._reply[9:12]))  # HTTP/1.1 202 Accepted
        elif not data:
            self._close(None)

    def _close(self, status: int | None) -> None:
        self._keep_on()
        if self._socket is not None:
            if self._waits_for_room:
                self._loop.remove_writer(self._socket.fileno())
            if self._waits_for_reply:
                self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if not self._status.done():
            self._status.set_result(status)
        self._unsent = memoryview(b"")
        self._written.clear()
        self._written_bytes = 0
        self._room.set()


def _request_head(endpoint: Endpoint, invocation: Invocation) -> bytes:
    return (
        f"POST {invocation.path('response')} HTTP/1.1\r\nHost: {endpoint.authority}\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: application/vnd.awslambda.http-integration-response\r\n"
        "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
        f"{invocation.echo()}\r\n"
    ).encode("latin-1")


def _send(peer: socket.socket, message: memoryview) -> int:
    try:
        return peer.send(message)
    except (BlockingIOError, InterruptedError):
        return 0
    except OSError as error:
        if error.errno == errno.ENOTCONN:  # macOS, while the connection is under way
            return 0
        raise
