"""A small HTTP/1.1 server over asyncio, made so that a reply can be delayed, sliced or cut at any byte.

A general web server hides exactly what the simulators must control: when bytes leave, and how a connection dies.
asyncio sets TCP_NODELAY on every stream socket, so each write leaves at once.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_CONNECTIONS = 512
WRITE_BUFFER_BYTES = 64 * 1024

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


class BadRequestError(Exception):
    """The bytes received are not an acceptable HTTP/1.1 request; the connection closes after the answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(slots=True)
class Request:
    """One request as received. Header names are lower case; ``path`` is percent-decoded and without the query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    path: str = field(init=False)
    query: str = field(init=False)

    def __post_init__(self) -> None:
        path, _, self.query = self.target.partition("?")
        self.path = unquote(path) if "%" in path else path


class Connection(asyncio.Protocol):
    """One client connection: reads requests one after another, and is the writer of their replies."""

    def __init__(self, handler: "Handler", connections: set["Connection"]) -> None:
        self._handler = handler
        self._connections = connections
        self._received = bytearray()
        self._more: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._head = b""
        self._chunked = False
        self.closed = False

    # -- asyncio callbacks ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport) or len(self._connections) >= MAX_CONNECTIONS:
            transport.close()
            return
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._connections.add(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MAX_BODY_BYTES + MAX_HEAD_BYTES and self._transport:
            self._transport.abort()
        if self._more and not self._more.done():
            self._more.set_result(None)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed = True
        self._connections.discard(self)
        if self._task:
            self._task.cancel()

    # -- reading ----------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        try:
            while not self.closed:
                request, keep_alive = await self._read_request()
                await self._handler(request, self)
                if not keep_alive:
                    break
        except BadRequestError as error:
            self.reply(error.status, [("content-type", "text/plain"), ("connection", "close")], str(error).encode())
        finally:
            self.close()

    async def _wait_for_bytes(self) -> None:
        self._more = asyncio.get_running_loop().create_future()
        await self._more

    async def _read_until(self, mark: bytes, limit: int) -> bytes:
        while (at := self._received.find(mark)) < 0:
            if len(self._received) > limit:
                raise BadRequestError(431, "request head or chunk line too long")
            await self._wait_for_bytes()
        line = bytes(self._received[:at])
        del self._received[: at + len(mark)]
        return line

    async def receive(self) -> bytes:
        """Whatever has come, of a connection that speaks something else than HTTP by now."""
        while not self._received:
            await self._wait_for_bytes()
        data = bytes(self._received)
        self._received.clear()
        return data

    async def _read_exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            await self._wait_for_bytes()
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    async def _read_request(self) -> tuple[Request, bool]:
        request = parse_head(await self._read_until(b"\r\n\r\n", MAX_HEAD_BYTES))
        if request.headers.get("expect", "").lower() == "100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = await self._read_body(request.headers)
        return request, "close" not in request.headers.get("connection", "").lower()

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return await self._read_chunks()
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise BadRequestError(400, "bad content-length")
        if int(length) > MAX_BODY_BYTES:
            raise BadRequestError(413, f"body larger than {MAX_BODY_BYTES} bytes")
        return await self._read_exactly(int(length)) if length != "0" else b""

    async def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            line = await self._read_until(b"\r\n", 1024)
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise BadRequestError(400, "bad chunk size") from None
            if size < 0 or len(body) + size > MAX_BODY_BYTES:
                raise BadRequestError(413, f"body larger than {MAX_BODY_BYTES} bytes")
            if size == 0:
                while await self._read_until(b"\r\n", MAX_HEAD_BYTES):
                    pass
                return bytes(body)
            body += await self._read_exactly(size)
            await self._read_exactly(2)

    # -- writing ----------------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        if self._transport and not self.closed:
            self._transport.write(data)

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send a whole reply in one write."""
        self.start(status, headers, len(body))
        self.write(body)

    def start(self, status: int, headers: list[tuple[str, str]], length: int | None) -> None:
        """Prepare the reply head; it leaves with the first body bytes. ``length`` None means chunked framing."""
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Simulated')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self._head = "\r\n".join([*lines, framing, "", ""]).encode("latin-1")
        self._chunked = length is None

    def flush_head(self) -> None:
        """Send the reply head now, before any body byte."""
        head, self._head = self._head, b""
        self._send(head)

    def write(self, data: bytes) -> None:
        """Send body bytes: one chunk of a chunked reply, or a part of a reply with a length."""
        framed = b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data
        head, self._head = self._head, b""
        self._send(head + framed)

    def end(self) -> None:
        """Send the last chunk of a chunked reply."""
        head, self._head = self._head, b""
        self._send(head + b"0\r\n\r\n")

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written."""
        if self._writable:
            await self._writable

    def close(self, *, reset: bool = False) -> None:
        """Close after what was written (FIN), or at once with a TCP reset."""
        if not self._transport or self.closed:
            return
        if not reset:
            self._transport.close()
            return
        connection: socket.socket = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


Handler = Callable[[Request, Connection], Awaitable[None]]


def parse_head(head: bytes) -> Request:
    """Read request line and headers. Raises BadRequestError (400, 505)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[1].startswith("/"):
        raise BadRequestError(400, "bad request line")
    if words[2] != "HTTP/1.1":
        raise BadRequestError(505, "HTTP/1.1 only")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, "bad header line")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return Request(words[0], words[1], headers)


async def listen(handler: Handler, port: int) -> tuple[asyncio.Server, set[Connection]]:
    """Start serving on the loopback address. Port 0 takes a free one. Raises OSError when the port is taken."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(handler, connections), "127.0.0.1", port)
    return server, connections
