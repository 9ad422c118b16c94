"""WebSocket connections to providers, by the library `websockets`: docs/decisions/0035 says why not by aiohttp.

Loaded by the function that holds sessions and by no other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from gateway.adapters.trust import certifi_trust
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.realtime_ports import HandshakeRefused, ProviderSocket, SocketClosed

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
PING_S = 20.0
"""A provider that does not answer a ping for as long again is gone."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_BROKEN = 1006


class WebSockets:
    """`open_timeout_s`: until the provider has taken the connection."""

    def __init__(self, open_timeout_s: float = OPEN_TIMEOUT_S) -> None:
        self._tls = certifi_trust()
        self._open_timeout_s = open_timeout_s

    @asynccontextmanager
    async def open(self, request: HttpRequest) -> AsyncIterator[ProviderSocket]:
        """Neither compression, which sound in base64 is not worth, nor proxies of the environment."""
        connecting = connect(
            request.url,
            additional_headers=request.headers,
            user_agent_header=None,
            compression=None,
            ssl=self._tls if request.url.startswith("wss:") else None,
            proxy=None,
            open_timeout=self._open_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=MAX_MESSAGE_BYTES,
        )
        with _translated():
            connection = await connecting
        try:
            yield _Socket(connection)
        finally:
            await connection.close()


class _Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: str) -> None:
        with _until_closed():
            await self._connection.send(message)

    async def receive(self) -> str | bytes:
        with _until_closed():
            return await self._connection.recv()


@contextmanager
def _translated() -> Iterator[None]:
    """What a handshake can meet."""
    try:
        yield
    except InvalidStatus as refused:
        answer = refused.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        raise HandshakeRefused(HttpResponse(answer.status_code, headers, bytes(answer.body or b""))) from refused
    except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as failure:
        raise ProviderError(f"The provider cannot be reached ({type(failure).__name__}).") from failure


@contextmanager
def _until_closed() -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as closed:
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (_BROKEN, "")
        raise SocketClosed(code, reason) from closed
