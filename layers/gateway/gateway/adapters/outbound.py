"""The one way out to providers: bounded bodies, and every failure of a connection as the error a client can be told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from gateway.adapters.http_answer import HttpFailure, HttpIncoming
from gateway.adapters.http_client import HttpClient
from gateway.model.http import MAX_ANSWER_BYTES, HttpRequest, HttpResponse, Sending, StreamedBody
from gateway.model.provider_errors import ProviderError

MAX_ERROR_BODY_BYTES = 1024 * 1024


class PooledOutbound:
    """`client`: one that looks again for whom it does not find. Total and first-token limits are the pipeline's; here
    only connecting is limited.

    Redirects are not followed: a provider has no reason to send our credential elsewhere.
    """

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[PooledIncoming]:
        with _translated():
            async with self._client.open(request, sending=sending) as incoming:
                yield PooledIncoming(incoming)


class PooledCarriers:
    """The same, for bodies that are read as they go out."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    @asynccontextmanager
    async def open(
        self, request: HttpRequest, streamed: StreamedBody, sending: Sending | None = None
    ) -> AsyncIterator[PooledIncoming]:
        with _translated():
            async with self._client.open(request, sending=sending, streamed=streamed) as incoming:
                yield PooledIncoming(incoming)


class PooledIncoming:
    def __init__(self, incoming: HttpIncoming) -> None:
        self._incoming = incoming
        self.status, self.headers = incoming.status, incoming.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        with _translated():
            async for data in self._incoming.chunks():
                yield data

    async def whole(self) -> HttpResponse:
        with _translated():
            return await self._incoming.whole(MAX_ANSWER_BYTES if self.status < 400 else MAX_ERROR_BODY_BYTES)


@contextmanager
def _translated() -> Iterator[None]:
    """The message names the kind only: URLs and hosts stay inside."""
    try:
        yield
    except HttpFailure as failure:
        raise ProviderError(f"The connection to the provider failed ({failure.kind}).") from failure
