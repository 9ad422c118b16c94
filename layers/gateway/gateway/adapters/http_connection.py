"""One HTTP/1.1 connection: a request goes out, its answer comes back, and then the next one may."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from gateway.adapters.http_answer import HttpFailure, HttpIncoming
from gateway.adapters.http_names import Names
from gateway.model.http import HttpRequest

MAX_BYTES_AT_ONCE = 512 * 1024
"""Of a body: to encrypt and write more of it at once would hold up everybody else."""
AN_ADDRESS_S = 3.0
"""Until one that another comes after is given up: some swallow what is sent to them."""
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


class Connection(asyncio.Protocol):
    """`written_s`: when the last of a request was written, in seconds of the loop's clock. `is_unheard`: whether
    nothing came back since, and nobody here gave it up.

    No BufferedProtocol: asyncio's TLS reads one buffer of it when the server closes, and drops what else has arrived.
    """

    def __init__(self) -> None:
        self.written_s = 0.0
        self.is_unheard = True
        self._transport: asyncio.Transport | None = None
        self._incoming: HttpIncoming | None = None
        self._is_spent = self._has_ended = False
        self._room = asyncio.Event()
        self._room.set()

    @classmethod
    async def to(cls, place: Place, names: Names, tls: ssl.SSLContext, timeout_s: float) -> Connection:
        """`timeout_s`: until the name is found, one of its addresses reached and TLS agreed on. Raises HttpFailure.

        Addresses are tried in turn: asyncio's race between them loses its socket when who waits is cancelled just then.
        """
        ends_s = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await names.addresses_of(place.host)
        except TimeoutError as error:
            raise HttpFailure("ConnectTimeout") from error
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            rest_s = ends_s - asyncio.get_running_loop().time()
            try:
                return await cls._at(address, place, tls, rest_s if left == 1 else min(AN_ADDRESS_S, rest_s / left))
            except HttpFailure as failure:
                if left == 1 or failure.kind == "TlsFailed":
                    names.forget(place.host)
                    raise
        raise HttpFailure("NameNotFound", is_unreached=True)

    @classmethod
    async def _at(cls, address: str, place: Place, tls: ssl.SSLContext, timeout_s: float) -> Connection:
        is_secure, loop = place.scheme == "https", asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    cls,
                    address,
                    place.port,
                    ssl=tls if is_secure else None,
                    server_hostname=(place.server_hostname or place.host) if is_secure else None,
                )
        except TimeoutError as error:
            raise HttpFailure("ConnectTimeout") from error
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise HttpFailure("TlsFailed") from error
        except ConnectionResetError as error:  # in the middle of agreeing on TLS
            raise HttpFailure("TlsFailed") from error
        except (OSError, ValueError) as error:
            raise HttpFailure("NotConnected", is_unreached=True) from error
        return connection

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and not self._has_ended

    @property
    def is_free(self) -> bool:
        """Whether the next request may use it."""
        return self.is_open and self._incoming is not None and self._incoming.is_read and not self._is_spent

    @property
    def is_silent(self) -> bool:
        """Whether nothing lies unread in its socket: that would be no answer to what has not been asked yet. The loop
        has not looked since the environment was frozen.
        """
        if self._transport is None:
            return False
        waiting = select.poll()
        waiting.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not waiting.poll(0)

    async def ask(self, request: HttpRequest, body: AsyncIterator[bytes] | None = None) -> HttpIncoming:
        """The answer once its head has come. `body`: in place of the request's own; its headers say its size.

        Raises HttpFailure, and what reading the body raises.
        """
        head = _head_of(request, is_sized=body is not None)
        self.is_unheard = True
        if not self.is_open:
            raise HttpFailure("Disconnected", is_disconnect=True)
        assert self._transport is not None  # noqa: S101 - it is open
        incoming = self._incoming = HttpIncoming(request.method, self._transport)
        if body is not None:
            self._is_spent = True  # for what is streamed may be longer than was said
            await self._write_all(head, body, int(request.headers["content-length"]), incoming)
        elif len(request.body) <= MAX_BYTES_AT_ONCE:
            self._write(head + request.body)
        else:
            self._is_spent = not await self._write_all(head, _pieces(request.body), len(request.body), incoming)
        await incoming.head()
        return incoming

    def give_up(self) -> None:
        """Whatever was asked is not to be asked again."""
        self.is_unheard = False
        self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.is_unheard = False
        if self._incoming is None or self._incoming.is_whole:
            self.abort()  # nobody has asked for that
        else:
            self._incoming.feed(data)

    def eof_received(self) -> None:
        """asyncio closes it, as nothing is returned; with a body still to be written that takes its time."""
        self._has_ended = True
        if self._incoming is not None:
            self._incoming.end(is_orderly=self._is_closed_in_order())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._room.set()
        if self._incoming is not None:
            self._incoming.end(is_orderly=exc is None)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def _is_closed_in_order(self) -> bool:
        """TLS says that it closes, so that who cuts the connection shortens no body: RFC 9112, 9.8."""
        secured = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        try:
            return secured is None or not secured.read(1)
        except ssl.SSLError:
            return False

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        self.written_s = asyncio.get_running_loop().time()

    async def _write_all(
        self, head: bytes, body: AsyncIterator[bytes], size_bytes: int, incoming: HttpIncoming
    ) -> bool:
        """As fast as it is taken, and not on when there is an answer before: whether all of it was. Raises HttpFailure
        for a body of another size than its head says: what is too much would be read as the next request.
        """
        self._write(head)
        async for piece in body:
            if incoming.has_news or not self.is_open:
                return False
            size_bytes -= len(piece)
            if size_bytes < 0:
                raise HttpFailure("BodyTooLong")
            self._write(piece)
            await self._has_room(incoming)
        if size_bytes and not incoming.has_news:
            raise HttpFailure("BodyTooShort")
        return not size_bytes

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
    if " " in request.url or not request.url.isprintable():  # urlsplit would drop line ends in silence
        raise HttpFailure("InvalidRequest")
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
    if head.count("\r") != breaks or head.count("\n") != breaks or "\0" in head:
        raise HttpFailure("InvalidRequest")
    try:
        return f"{head}\r\n\r\n".encode()
    except UnicodeEncodeError:
        raise HttpFailure("InvalidRequest") from None
