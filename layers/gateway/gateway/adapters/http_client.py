"""HTTP for everything that leaves an execution environment: one pool of warm connections, answers as they arrive.

aiohttp rather than httpx: see docs/decisions/0007-aiohttp-on-the-hot-path.md.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from types import SimpleNamespace

import aiohttp
import certifi
from yarl import URL

from gateway.model.http import HttpRequest, HttpResponse, Sending

CONNECT_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 60.0
MAX_BYTES_AT_ONCE = 512 * 1024
_SENT_AS_GIVEN = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class HttpFailure(Exception):
    """No answer, or one that broke off. `kind` names what happened; never an address."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class HttpClient:
    """Redirects, cookies and the proxies of the environment are not used; a session is opened in the running loop.

    The TLS context is built once, 20 ms, before a snapshot is taken. `trust`: the certificates that are believed.
    """

    def __init__(self, max_connections: int = 200, trust: ssl.SSLContext | None = None) -> None:
        self._max_connections = max_connections
        self._tls = ssl.create_default_context(cafile=certifi.where()) if trust is None else trust
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(
        self, request: HttpRequest, server_hostname: str | None = None, sending: Sending | None = None
    ) -> AsyncIterator[HttpIncoming]:
        """The answer once its head has come. The URL is sent as it is, for it may be signed. Raises HttpFailure.

        `server_hostname`: whose certificate is asked for, where the URL has an address in place of a name. `sending`
        is told how far the request came, whatever becomes of it.
        """
        response = await self._answered(request, server_hostname, sending or Sending())
        try:
            yield HttpIncoming(response)
        finally:
            response.close()  # a body that was read to its end has given its connection back already

    async def _answered(
        self, request: HttpRequest, server_hostname: str | None, sending: Sending
    ) -> aiohttp.ClientResponse:
        """A server may close a kept connection just as it is used again, above all after an environment was frozen: a
        request that fails so, before any byte of an answer, goes out once more.
        """
        while True:
            use = SimpleNamespace(of_kept_connection=False, sending=sending)
            try:
                return await self._request(request, server_hostname, use)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError) as error:
                if not use.of_kept_connection:
                    raise HttpFailure(type(error).__name__) from error
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise HttpFailure(type(error).__name__) from error

    async def _request(
        self, request: HttpRequest, server_hostname: str | None, use: SimpleNamespace
    ) -> aiohttp.ClientResponse:
        session = self._session or self._open_session()
        return await session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=_as_sent(request.body),
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
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._max_connections, ssl=self._tls, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=30
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            skip_auto_headers=_SENT_AS_GIVEN,
            trace_configs=[_noting_connections()],
        )
        return self._session


class HttpIncoming:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, what came in one network read together, decompressed. Raises HttpFailure."""
        try:
            async for data in self._response.content.iter_any():
                yield data
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise HttpFailure(type(error).__name__) from error

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


def _noting_connections() -> aiohttp.TraceConfig:
    async def note_new(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.sending.has_left = True

    async def note_kept(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.sending.has_left = True
        context.trace_request_ctx.of_kept_connection = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(note_new)
    tracing.on_connection_reuseconn.append(note_kept)
    return tracing
