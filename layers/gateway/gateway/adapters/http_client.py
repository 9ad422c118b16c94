"""HTTP for everything that leaves an execution environment: pools of warm connections, answers as they arrive.

Why not a library's client: docs/decisions/0007-http-on-the-hot-path.md.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from gateway.adapters.http_answer import HttpFailure, HttpIncoming
from gateway.adapters.http_connection import Connection, Place, place_of
from gateway.adapters.http_names import Names
from gateway.adapters.trust import certifi_trust
from gateway.model.http import HttpRequest, HttpResponse, Sending, StreamedBody

REACH_TIMEOUT_S = 15.0
"""Until there is a new connection: a name found, its addresses tried, and TLS agreed on."""
KEEP_ALIVE_S = 60.0
STALE_WITHIN_S = 0.3
"""A round trip to the other side of the world: by then a server that has closed a connection has said so. One that
hangs up later may have read the request, and been at work."""
_MAY_BE_ASKED_TWICE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2


class HttpClient:
    """Redirects, cookies and the proxies of the environment are not used.

    The TLS context is built once. `trust`: the certificates that are believed.
    Who finds `max_connections` in use, or `max_to_one_host` of them, waits for a free one, as long as he likes: how
    long others take is no failure of a connection. `keep_alive_s`: how long one is kept that nobody uses.
    `looks_again`: whether one is tried for once more at once where there was nobody to hear the request.
    """

    def __init__(
        self,
        max_connections: int = 200,
        trust: ssl.SSLContext | None = None,
        max_to_one_host: int | None = None,
        keep_alive_s: float = KEEP_ALIVE_S,
        reach_timeout_s: float = REACH_TIMEOUT_S,
        *,
        looks_again: bool = False,
    ) -> None:
        self._places, self._max_to_one_host = asyncio.Semaphore(max_connections), max_to_one_host
        self._places_at: dict[str, asyncio.Semaphore] = {}
        self._tls = certifi_trust() if trust is None else trust
        self._kept, self._names = _Kept(keep_alive_s, max_connections), Names()
        self._reach_timeout_s, self._looks_again = reach_timeout_s, looks_again
        self._in_use: set[Connection] = set()

    def beside(self, max_connections: int, max_to_one_host: int) -> HttpClient:
        """Another one that believes the same certificates, whose connections are its own. It looks again."""
        return HttpClient(max_connections, self._tls, max_to_one_host, looks_again=True)

    @property
    def connections_in_use(self) -> int:
        return len(self._in_use)

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
        place = place_of(request.url, server_hostname)
        async with self._at_host(place.host), self._places:
            connection, incoming = await self._answered(place, request, sending or Sending(), streamed)
            try:
                yield incoming
            finally:
                self._give_back(connection, place)

    async def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse:
        """The whole answer. Raises HttpFailure, also when it takes longer or is larger."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._whole(request, max_bytes)
        except TimeoutError as error:
            raise HttpFailure("TimeoutError") from error

    async def _whole(self, request: HttpRequest, max_bytes: int) -> HttpResponse:
        place = place_of(request.url)
        async with self._at_host(place.host), self._places:
            connection, incoming = await self._answered(place, request, Sending(), None)
            try:
                return await incoming.whole(max_bytes)
            finally:
                self._give_back(connection, place)

    async def aclose(self) -> None:
        """Forgets every connection and address: after a snapshot is restored the sockets in the pool are dead."""
        self._kept.close()
        self._names.forget_all()
        for connection in self._in_use:
            connection.give_up()
        await asyncio.sleep(0)  # in which the loop closes their sockets

    def _at_host(self, host: str) -> AbstractAsyncContextManager[None]:
        if self._max_to_one_host is None:
            return nullcontext()
        if (places := self._places_at.get(host)) is None:
            places = self._places_at[host] = asyncio.Semaphore(self._max_to_one_host)
        return places

    async def _answered(
        self, place: Place, request: HttpRequest, sending: Sending, streamed: StreamedBody | None
    ) -> tuple[Connection, HttpIncoming]:
        """A server may close a kept connection just as it is used again, above all after an environment was frozen: a
        request that fails so goes out once more, by a new connection. Never one that the server may have read and
        worked for, unless it is of those that may be asked twice.
        """
        kept = self._kept.take(place) if streamed is None else None
        if kept is not None:
            sending.has_left = True
            try:
                return kept, await self._asked(kept, request)
            except HttpFailure as failure:
                if not (failure.is_disconnect and _met_a_dead_connection(kept, request.method)):
                    raise
        connection = await self._connected(place)
        sending.has_left = True
        return connection, await self._asked(connection, request, streamed)

    async def _connected(self, place: Place) -> Connection:
        try:
            return await Connection.to(place, self._names, self._tls, self._reach_timeout_s)
        except HttpFailure as failure:
            if not (failure.is_unreached and self._looks_again):
                raise
        return await Connection.to(place, self._names, self._tls, self._reach_timeout_s)

    async def _asked(
        self, connection: Connection, request: HttpRequest, streamed: StreamedBody | None = None
    ) -> HttpIncoming:
        self._in_use.add(connection)
        try:
            if streamed is None:
                return await connection.ask(request)
            return await connection.ask(_sized(request, streamed), streamed.chunks())
        except BaseException:
            self._in_use.discard(connection)
            connection.abort()
            raise

    def _give_back(self, connection: Connection, place: Place) -> None:
        """One of which the answer was not read to its end is of no use to anybody."""
        self._in_use.discard(connection)
        if connection.is_free:
            self._kept.put(connection, place)
        else:
            connection.abort()


class _Kept:
    """Connections that nobody uses at the moment, by where they lead. The one that was used last is used next."""

    def __init__(self, keep_alive_s: float, max_idle: int) -> None:
        self._keep_alive_s, self._max_idle = keep_alive_s, max_idle
        self._idle: dict[Place, list[tuple[float, Connection]]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def take(self, place: Place) -> Connection | None:
        now_s, idle = asyncio.get_running_loop().time(), self._idle.get(place)
        while idle:
            since_s, connection = idle.pop()
            if connection.is_open and now_s - since_s < self._keep_alive_s and connection.is_silent:
                return connection
            connection.abort()
        return None

    def put(self, connection: Connection, place: Place) -> None:
        loop = asyncio.get_running_loop()
        if sum(map(len, self._idle.values())) >= self._max_idle:
            connection.abort()
            return
        self._idle.setdefault(place, []).append((loop.time(), connection))
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._keep_alive_s, self._sweep)

    def close(self) -> None:
        for idle in self._idle.values():
            for _, connection in idle:
                connection.abort()
        self._idle.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def _sweep(self) -> None:
        """Those that have been idle for too long, and places of which none is left."""
        self._sweeping, loop = None, asyncio.get_running_loop()
        all_idle, self._idle = self._idle, {}
        for place, idle in all_idle.items():
            for since_s, connection in idle:
                if connection.is_open and loop.time() - since_s < self._keep_alive_s:
                    self._idle.setdefault(place, []).append((since_s, connection))
                else:
                    connection.abort()
        if self._idle:
            self._sweeping = loop.call_later(self._keep_alive_s, self._sweep)


def _sized(request: HttpRequest, streamed: StreamedBody) -> HttpRequest:
    """Its size is said, so that it goes out as one body and not in chunks."""
    headers = {**request.headers, "content-length": str(streamed.size_bytes)}
    return HttpRequest(request.method, request.url, headers)


def _met_a_dead_connection(kept: Connection, method: str) -> bool:
    """Of a request that was hung up on: whether nobody can have minded it, or minds it twice."""
    waited_s = asyncio.get_running_loop().time() - kept.written_s
    return method in _MAY_BE_ASKED_TWICE or (kept.is_unheard and waited_s < STALE_WITHIN_S)
