"""The keep-alive half of the Runtime API's HTTP/1.1: long polls and finished answers, over asyncio streams."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from msgspec import Struct

_BUFFER_BYTES = 1_048_576

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class RuntimeApiError(Exception):
    """The Runtime API is gone, or answered what its contract does not allow."""


class Endpoint(Struct, frozen=True):
    """Where the Runtime API listens, resolved once."""

    authority: str
    family: socket.AddressFamily
    address: Any  # what socket.connect takes: its shape depends on the family

    @classmethod
    def resolve(cls, authority: str) -> Endpoint:
        """`authority` is `host:port`, as in AWS_LAMBDA_RUNTIME_API. OSError: the name does not resolve."""
        host, _, port = authority.rpartition(":")
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        return cls(authority, family, address)

    def new_socket(self) -> socket.socket:
        """A non-blocking socket that is not connected yet.

        Without TCP_NODELAY a small write waits for the peer's delayed acknowledgement, 40 ms.
        """
        created = socket.socket(self.family, socket.SOCK_STREAM)
        created.setblocking(False)
        created.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return created


class Reply(Struct, frozen=True):
    """One HTTP reply; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and lower-case headers of everything up to and with the empty line."""
    status_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(status_line.split(" ", 2)[1]), headers


class Connection:
    """Keep-alive connection: one request at a time, its reply read to the end before the next."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._streams: _Streams | None = None

    async def request(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Reply:
        """Send one request and wait as long as its reply takes; `headers` are whole lines, each ended by CRLF.

        A connection that the server closed since the last request is opened again, once.
        Raises RuntimeApiError when the server cannot be reached or breaks off.
        """
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._endpoint.authority}\r\n"
            f"Content-Length: {len(body)}\r\n{headers}\r\n"
        )
        message = head.encode("latin-1", "replace") + body
        if self._streams is not None:
            try:
                return await self._exchange(self._streams, message)
            except (OSError, EOFError):
                self.close()
        try:
            self._streams = await self._open()
            return await self._exchange(self._streams, message)
        except (OSError, EOFError) as error:
            self.close()
            raise RuntimeApiError(f"no reply to {method} {path}") from error

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _open(self) -> _Streams:
        peer = self._endpoint.new_socket()
        try:
            await asyncio.get_running_loop().sock_connect(peer, self._endpoint.address)
            return await asyncio.open_connection(sock=peer, limit=_BUFFER_BYTES)
        except BaseException:
            peer.close()
            raise

    async def _exchange(self, streams: _Streams, message: bytes) -> Reply:
        reader, writer = streams
        writer.write(message)
        status, headers = parse_head(await reader.readuntil(b"\r\n\r\n"))
        # The Go server behind the Runtime API names no length for an event over 2 KB: it arrives in chunks.
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _read_chunks(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Reply(status, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers, then the empty line
        pass
    return bytes(body)
