"""POST to a URL that somebody else chose: checked and pinned as a fetch is, no redirect is followed.

Connections are kept, for the checked address and the name that its certificate was checked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gateway.adapters.guarded_fetch.address import NONE_EXEMPT, Address, Exempt
from gateway.adapters.guarded_fetch.pin import checked_addresses, url_at
from gateway.adapters.guarded_fetch.refusal import Failed, Refused
from gateway.adapters.guarded_fetch.resolve import Resolve, system_resolve
from gateway.adapters.guarded_fetch.target import Target, read_target
from gateway.adapters.http_answer import HttpFailure, HttpIncoming
from gateway.adapters.http_client import HttpClient
from gateway.adapters.http_connection import NOT_CONNECTED
from gateway.model.http import HttpRequest, HttpResponse
from gateway.ports import Clock

ADDRESSES_KEPT_S = 30.0
MAX_NAMES_KEPT = 256
USER_AGENT = "llm-gateway"
Taking = Callable[[HttpIncoming], Awaitable[HttpResponse]]


class GuardedPost:
    """`exempt`: addresses and ports of the local stack that may be called, over http too. No time limit of its own."""

    def __init__(
        self, client: HttpClient, clock: Clock, resolve: Resolve = system_resolve, exempt: Exempt = NONE_EXEMPT
    ) -> None:
        self._client, self._clock, self._resolve, self._exempt = client, clock, resolve, exempt
        self._kept: dict[str, tuple[float, Sequence[Address]]] = {}

    async def send(self, url: str, headers: dict[str, str], body: bytes, max_bytes: int) -> HttpResponse:
        """The answer, whatever its status; a redirect is one too. Raises Refused and Failed."""

        async def whole(incoming: HttpIncoming) -> HttpResponse:
            if any(encoding not in ("", "identity") for encoding in incoming.encodings):
                raise Refused("content_encoding", "The site compresses its answer although it was asked not to.")
            return await incoming.whole(max_bytes)

        return await self._sent(url, headers, body, whole)

    async def deliver(self, url: str, headers: dict[str, str], body: bytes) -> HttpResponse:
        """As `send`, for whom nothing but the head of the answer matters; the rest is not read."""

        async def head(incoming: HttpIncoming) -> HttpResponse:
            return HttpResponse(incoming.status, incoming.headers, b"")

        return await self._sent(url, headers, body, head)

    def forget(self) -> None:
        """Addresses may be others after a snapshot is restored."""
        self._kept.clear()

    async def _sent(self, url: str, headers: dict[str, str], body: bytes, taken: Taking) -> HttpResponse:
        """The next address is tried only when there was no connection to the one before."""
        target = read_target(url, self._exempt)
        failure, cause = Failed("name_not_resolved", "The host's name has no address."), None
        for address in await self._addresses(target):
            request = HttpRequest("POST", url_at(target, address), _with_basics(headers, target), body)
            try:
                async with self._client.open(request, server_hostname=target.host) as incoming:
                    return await taken(incoming)
            except HttpFailure as error:
                if error.kind not in NOT_CONNECTED:
                    raise _meaning(error) from error
                failure, cause = Failed("connect_failed", "The site cannot be connected to."), error
        raise failure from cause

    async def _addresses(self, target: Target) -> Sequence[Address]:
        """Kept for a moment: the same address is the same connection."""
        now_s = self._clock.monotonic_s()
        kept = self._kept.get(target.host)
        if kept is not None and now_s < kept[0]:
            return kept[1]
        addresses = await checked_addresses(target, self._resolve)
        if len(self._kept) >= MAX_NAMES_KEPT:
            self._kept.clear()
        self._kept[target.host] = (now_s + ADDRESSES_KEPT_S, addresses)
        return addresses


def _with_basics(headers: dict[str, str], target: Target) -> dict[str, str]:
    basics = {"host": target.host_header, "user-agent": USER_AGENT, "accept-encoding": "identity"}
    return {**headers, **basics}


def _meaning(failure: HttpFailure) -> Failed | Refused:
    if failure.kind == "TlsFailed":
        return Failed("tls_failed", "The site's certificate is not good, or its TLS is not.")
    if failure.kind == "TooLarge":
        return Refused("too_large", "The answer is larger than it may be.")
    return Failed("protocol_error", "The site broke off or did not speak HTTP.")
