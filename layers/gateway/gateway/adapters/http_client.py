"""HTTP for everything that leaves an execution environment: pools of warm connections, answers as they arrive.

aiohttp rather than httpx: see docs/decisions/0007-aiohttp-on-the-hot-path.md.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import aiohttp
import certifi
from msgspec import Struct
from yarl import URL

from gateway.model.http import HttpRequest, HttpResponse, Sending, StreamedBody

CONNECT_TIMEOUT_S = 10.0
"""Of one address."""
REACH_TIMEOUT_S = 15.0
"""Until there is a new connection: a name found and its addresses tried."""
KEEP_ALIVE_S = 60.0
MAX_BYTES_AT_ONCE = 512 * 1024
STALE_WITHIN_S = 0.3
"""A round trip to the other side of the world: by then a server that has closed a connection has said so. One that
hangs up later may have read the request, and been at work."""
_MAY_BE_ASKED_TWICE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2
_DISCONNECTS = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)
_SENT_AS_GIVEN = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class HttpFailure(Exception):
    """No answer, or one that broke off. `kind` names what happened; never an address. `is_disconnect`: the other side
    hung up. `is_unreached`: there was none, for the name was not found or the connection refused.
    """

    def __init__(self, kind: str, *, is_disconnect: bool = False, is_unreached: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.is_disconnect, self.is_unreached = kind, is_disconnect, is_unreached


class Use(Struct):
    """Of a connection, by one request. `written_s`: when the last of it was written, in seconds of the loop's clock."""

    sending: Sending
    is_kept: bool = False
    written_s: float = 0.0

    def note_connection(self, *, is_kept: bool) -> None:
        self.is_kept, self.sending.has_left = is_kept, True
        self.note_written()

    def note_written(self) -> None:
        self.written_s = asyncio.get_running_loop().time()

    def met_a_dead_connection(self, method: str) -> bool:
        """Of a request that was hung up on: whether nobody can have minded it, or minds it twice."""
        waited_s = asyncio.get_running_loop().time() - self.written_s
        return self.is_kept and (method in _MAY_BE_ASKED_TWICE or waited_s < STALE_WITHIN_S)


class HttpClient:
    """Redirects, cookies and the proxies of the environment are not used; a session is opened in the running loop.

    The TLS context is built once, 20 ms, before a snapshot is taken. `trust`: the certificates that are believed.
    Who finds `max_connections` in use, or `max_to_one_host` of them, waits for a free one, as long as he likes: how
    long others take is no failure of a connection.
    """

    def __init__(
        self, max_connections: int = 200, trust: ssl.SSLContext | None = None, max_to_one_host: int | None = None
    ) -> None:
        self._places, self._max_to_one_host = asyncio.Semaphore(max_connections), max_to_one_host
        self._places_at: dict[str, asyncio.Semaphore] = {}
        self._tls = ssl.create_default_context(cafile=certifi.where()) if trust is None else trust
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    def beside(self, max_connections: int, max_to_one_host: int) -> HttpClient:
        """Another one that believes the same certificates, whose connections are its own."""
        return HttpClient(max_connections, self._tls, max_to_one_host)

    @asynccontextmanager
    async def open(
        self,
        request: HttpRequest,
        server_hostname: str | None = None,
        sending: Sending | None = None,
        streamed: StreamedBody | None = None,
    ) -> AsyncIterator[HttpIncoming]:
        """The answer once its head has come. The URL is sent as it is, for it may be signed. Raises HttpFailure.

        `server_hostname`: whose certificate is asked for, where the URL has an address in place of a name. `sending`
        is told how far the request came, whatever becomes of it. What is `streamed` goes out once, by a connection of
        its own, so that none that is dead breaks it off; what reading it raises is passed on.
        """
        async with self._at_host(request.url), self._places:
            told = sending or Sending()
            response = await (
                self._answered(request, server_hostname, told)
                if streamed is None
                else self._streamed(request, server_hostname, told, streamed)
            )
            try:
                yield HttpIncoming(response)
            finally:
                response.close()  # a body that was read to its end has given its connection back already

    def _at_host(self, url: str) -> AbstractAsyncContextManager[None]:
        if self._max_to_one_host is None:
            return nullcontext()
        host = url.split("/", 3)[2]
        if (places := self._places_at.get(host)) is None:
            places = self._places_at[host] = asyncio.Semaphore(self._max_to_one_host)
        return places

    async def _answered(
        self, request: HttpRequest, server_hostname: str | None, sending: Sending
    ) -> aiohttp.ClientResponse:
        """A server may close a kept connection just as it is used again, above all after an environment was frozen: a
        request that fails so goes out once more, by a connection of its own. Never one that the server may have read
        and worked for, unless it is of those that may be asked twice.
        """
        use = Use(sending)
        try:
            with _translated():
                return await self._request(request, server_hostname, use, self._session or self._open_session())
        except HttpFailure as failure:
            if not (failure.is_disconnect and use.met_a_dead_connection(request.method)):
                raise
        with _translated():
            return await self._request(request, server_hostname, Use(sending), self._fresh or self._open_fresh())

    async def _streamed(
        self, request: HttpRequest, server_hostname: str | None, sending: Sending, streamed: StreamedBody
    ) -> aiohttp.ClientResponse:
        """Its size is said, so that it goes out as one body and not in chunks."""
        headers = {**request.headers, "content-length": str(streamed.size_bytes)}
        sized = HttpRequest(request.method, request.url, headers)
        reading = _Reading(streamed.chunks())
        try:
            with _translated():
                session = self._fresh or self._open_fresh()
                return await self._request(sized, server_hostname, Use(sending), session, reading.chunks())
        except HttpFailure:
            if reading.error is not None:
                raise reading.error from None
            raise

    async def _request(
        self,
        request: HttpRequest,
        server_hostname: str | None,
        use: Use,
        session: aiohttp.ClientSession,
        body: AsyncIterator[bytes] | None = None,
    ) -> aiohttp.ClientResponse:
        return await session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=_as_sent(request.body) if body is None else body,
            allow_redirects=False,
            server_hostname=server_hostname,
            trace_request_ctx=use,
        )

    async def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse:
        """The whole answer. Raises HttpFailure, also when it takes longer or is larger."""
        try:
            async with asyncio.timeout(timeout_s), self.open(request) as incoming:
                return await incoming.whole(max_bytes)
        except TimeoutError as error:
            raise HttpFailure("TimeoutError") from error

    async def aclose(self) -> None:
        """Forgets every connection: after a snapshot is restored the sockets in the pool are dead."""
        sessions, self._session, self._fresh = (self._session, self._fresh), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        self._session = _session(self._connector(keepalive_timeout=KEEP_ALIVE_S))
        return self._session

    def _open_fresh(self) -> aiohttp.ClientSession:
        """Whose connections serve one request each."""
        self._fresh = _session(self._connector(force_close=True))
        return self._fresh

    def _connector(self, **kept: Any) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=0, ssl=self._tls, ttl_dns_cache=30, **kept)


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=REACH_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
        skip_auto_headers=_SENT_AS_GIVEN,
        trace_configs=[_noting_use()],
    )


class _Reading:
    """What is streamed, while it is read. `error`: why that broke off, of which aiohttp says its own word."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.error: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._chunks:
                yield data
        except Exception as error:
            self.error = error
            raise


class HttpIncoming:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, what came in one network read together, decompressed. Raises HttpFailure."""
        with _translated():
            async for data in self._response.content.iter_any():
                yield data

    async def whole(self, max_bytes: int) -> HttpResponse:
        """Raises HttpFailure, also when there are more than `max_bytes`."""
        body = bytearray()
        async for data in self.chunks():
            body += data
            if len(body) > max_bytes:
                raise HttpFailure("TooLarge")
        return HttpResponse(self.status, self.headers, bytes(body))


def _as_sent(body: bytes) -> bytes | BytesIO:
    """Large bytes would block the loop while they are written (aiohttp warns of it); from a file they go in pieces."""
    return BytesIO(body) if len(body) > MAX_BYTES_AT_ONCE else body


def _noting_use() -> aiohttp.TraceConfig:
    async def on_new(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.note_connection(is_kept=False)

    async def on_kept(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.note_connection(is_kept=True)

    async def on_written(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.note_written()

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(on_new)
    tracing.on_connection_reuseconn.append(on_kept)
    tracing.on_request_chunk_sent.append(on_written)
    return tracing


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        is_unreached = isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError)
        is_disconnect = isinstance(error, _DISCONNECTS)
        raise HttpFailure(type(error).__name__, is_disconnect=is_disconnect, is_unreached=is_unreached) from error
