"""The one way out to providers: pooled connections, bounded bodies, foreign exceptions turned into ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx

from gateway.model.errors import ProviderError
from gateway.model.http import HttpRequest, HttpResponse

CONNECT_TIMEOUT_S = 10.0
POOL_TIMEOUT_S = 10.0
MAX_BODY_BYTES = 100 * 1024 * 1024
MAX_ERROR_BODY_BYTES = 1024 * 1024


class HttpxOutbound:
    """Total and first-token limits are the pipeline's; here only connecting and waiting for the pool are limited.

    Redirects are not followed: a provider has no reason to send our credential elsewhere. Proxies of the
    environment are not used. One instance serves an execution environment, so that connections stay warm.
    """

    def __init__(self, max_connections: int = 200) -> None:
        self._max_connections = max_connections
        self._client: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def open(self, request: HttpRequest) -> AsyncIterator[HttpxIncoming]:
        client = self._client or self._connect()
        sent = client.build_request(request.method, request.url, headers=request.headers, content=request.body)
        with _translated():
            response = await client.send(sent, stream=True)
        try:
            yield HttpxIncoming(response)
        finally:
            await response.aclose()

    async def forget_connections(self) -> None:
        """After a snapshot is restored every socket in the pool is dead."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _connect(self) -> httpx.AsyncClient:
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S, pool=POOL_TIMEOUT_S),
            limits=httpx.Limits(max_connections=self._max_connections, max_keepalive_connections=50),
            follow_redirects=False,
            trust_env=False,
        )
        return self._client


class HttpxIncoming:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        with _translated():
            async for data in self._response.aiter_bytes():
                yield data

    async def whole(self) -> HttpResponse:
        limit = MAX_BODY_BYTES if self.status < 400 else MAX_ERROR_BODY_BYTES
        parts: list[bytes] = []
        size = 0
        async for data in self.chunks():
            size += len(data)
            if size > limit:
                raise ProviderError("The provider's answer is too large.")
            parts.append(data)
        return HttpResponse(self.status, self.headers, b"".join(parts))


@contextmanager
def _translated() -> Iterator[None]:
    """Every httpx exception is one of these three. The message names the kind only: URLs and hosts stay inside."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise ProviderError("The provider could not be connected to in time.") from error
    except httpx.PoolTimeout as error:
        raise ProviderError("Too many calls to providers are under way.") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise ProviderError(f"The connection to the provider failed ({type(error).__name__}).") from error
