"""One HTTP/1.1 connection: a request goes out, its answer comes back, and then the next one may."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from gateway.adapters.http_answer import HttpFailure, HttpIncoming
from gateway.model.http import HttpRequest

MAX_BYTES_AT_ONCE = 512 * 1024
"""Of a body: to encrypt and write more of it at once would hold up everybody else."""
READ_BYTES = 64 * 1024
NOT_CONNECTED = ("NotConnected", "NameNotFound", "ConnectTimeout")
"""Kinds of failures, all before there was a connection; "TlsFailed" is one with somebody whom one does not trust."""
_BODILESS = ("GET", "HEAD", "OPTIONS")


class Place(NamedTuple):
    """Where a connection leads. `server_hostname`: whose certificate is asked for, None: the host's; without TLS
    nobody's.
    """

    scheme: str
    host: str
    port: int
    server_hostname: str | None


@lru_cache(maxsize=256)
def place_of(url: str, server_hostname: str | None = None) -> Place:
    """Raises HttpFailure."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise HttpFailure("InvalidUrl") from None
    if parts.scheme not in ("http", "https") or not host:
        raise HttpFailure("InvalidUrl")
    return Place(parts.scheme, host, port, server_hostname)


class Connection(asyncio.BufferedProtocol):
    """`written_s`: when the last of a request was written, in seconds of the loop's clock.

    It reads into one buffer of its own: asyncio would take 256 KB from the system for each read, and give them back.
    """

    def __init__(self) -> None:
        self.written_s = 0.0
        self._read_into = memoryview(bytearray(READ_BYTES))  # of which asyncio's TLS takes slices to write to
        self._transport: asyncio.Transport | None = None
        self._incoming: HttpIncoming | None = None
        self._has_unsent = False
        self._room = asyncio.Event()
        self._room.set()

    @classmethod
    async def to(cls, place: Place, tls: ssl.SSLContext, timeout_s: float) -> Connection:
        """`timeout_s`: until the name is found, one of its addresses reached and TLS agreed on. Raises HttpFailure.

        Addresses are tried in turn: asyncio's race between them loses its socket when who waits is cancelled just then.
        """
        is_secure, loop = place.scheme == "https", asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    cls,
                    place.host,
                    place.port,
                    ssl=tls if is_secure else None,
                    server_hostname=(place.server_hostname or place.host) if is_secure else None,
                )
        except TimeoutError as error:
            raise HttpFailure("ConnectTimeout") from error
        except socket.gaierror as error:
            raise HttpFailure("NameNotFound", is_unreached=True) from error
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise HttpFailure("TlsFailed") from error
        except ConnectionResetError as error:  # in the middle of agreeing on TLS
            raise HttpFailure("TlsFailed") from error
        except (OSError, ValueError) as error:
            raise HttpFailure("NotConnected", is_unreached=True) from error
        return connection

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_free(self) -> bool:
        """Whether the next request may use it."""
        return self.is_open and self._incoming is not None and self._incoming.is_read and not self._has_unsent

    async def ask(self, request: HttpRequest, body: AsyncIterator[bytes] | None = None) -> HttpIncoming:
        """The answer once its head has come. `body`: in place of the request's own; its headers say its size.

        Raises HttpFailure, and what reading the body raises.
        """
        head = _head_of(request, is_sized=body is not None)
        if not self.is_open:
            raise HttpFailure("Disconnected", is_disconnect=True)
        assert self._transport is not None  # noqa: S101 - it is open
        incoming = self._incoming = HttpIncoming(request.method, self._transport)
        if body is None and len(request.body) <= MAX_BYTES_AT_ONCE:
            self._write(head + request.body)
        else:
            await self._write_all(head, _pieces(request.body) if body is None else body, incoming)
        await incoming.head()
        return incoming

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._read_into

    def buffer_updated(self, nbytes: int) -> None:
        if self._incoming is None or self._incoming.is_whole:
            self.abort()  # nobody has asked for that
        else:
            self._incoming.feed(self._read_into[:nbytes])

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._room.set()
        if self._incoming is not None:
            self._incoming.end(is_orderly=exc is None)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        self.written_s = asyncio.get_running_loop().time()

    async def _write_all(self, head: bytes, body: AsyncIterator[bytes], incoming: HttpIncoming) -> None:
        """As fast as it is taken, and not on when there is an answer before."""
        self._has_unsent = True
        self._write(head)
        async for piece in body:
            if incoming.has_news:
                return
            self._write(piece)
            await self._has_room(incoming)
        self._has_unsent = False

    async def _has_room(self, incoming: HttpIncoming) -> None:
        if self._room.is_set():
            return
        waiting = [asyncio.ensure_future(self._room.wait()), asyncio.ensure_future(incoming.head())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), MAX_BYTES_AT_ONCE):
        yield body[start : start + MAX_BYTES_AT_ONCE]


def _head_of(request: HttpRequest, *, is_sized: bool) -> bytes:
    """The URL and the headers are sent as they are. Raises HttpFailure where one of them brings a line of its own."""
    parts = urlsplit(request.url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    lines = [f"{request.method} {target} HTTP/1.1"]
    if "host" not in request.headers:
        lines.append(f"host: {parts.netloc.rpartition('@')[2]}")
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if not is_sized and "content-length" not in request.headers and (request.body or request.method not in _BODILESS):
        lines.append(f"content-length: {len(request.body)}")
    head = "\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count("\r") != breaks or head.count("\n") != breaks or "\0" in head or " " in target:
        raise HttpFailure("InvalidRequest")
    return f"{head}\r\n\r\n".encode()
