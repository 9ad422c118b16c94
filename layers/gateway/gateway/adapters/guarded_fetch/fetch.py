"""The fetch itself: every hop is checked anew, and the connection goes to the very address that was checked."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import ClassVar

from msgspec import Struct

from gateway.adapters.guarded_fetch.address import NONE_EXEMPT, Address, Exempt
from gateway.adapters.guarded_fetch.pin import checked_addresses, url_at
from gateway.adapters.guarded_fetch.refusal import Failed, Refused
from gateway.adapters.guarded_fetch.resolve import Resolve, system_resolve
from gateway.adapters.guarded_fetch.target import Target, next_target, read_target
from gateway.adapters.http_answer import HttpFailure, HttpIncoming
from gateway.adapters.http_client import HttpClient
from gateway.adapters.http_connection import NOT_CONNECTED
from gateway.adapters.trust import certifi_trust
from gateway.model.http import HttpRequest
from gateway.model.media_type import sniff
from gateway.model.unshown import Unshown

MAX_REDIRECTS = 3
CONNECT_TIMEOUT_S = 5.0
USER_AGENT = "llm-gateway-media-fetch"
_REDIRECTS = (301, 302, 303, 307, 308)


class Limits(Struct, frozen=True):
    """`timeout_s`: for everything, from resolving to the last byte. `accept`: beginnings of media types."""

    max_bytes: int
    timeout_s: float
    accept: tuple[str, ...]


class Fetched(Unshown, frozen=True):
    """`content_type`: by the bytes. `sha256`: hex."""

    UNSHOWN: ClassVar = ("body",)

    content_type: str
    sha256: str
    body: bytes


class GuardedFetch:
    """Plain GETs: no proxy, no cookie, no credential, no compression, one connection for each hop.

    `exempt`: addresses and ports of the local stack that may be fetched from, over http too.
    `trust`: the certificates that are believed.
    """

    def __init__(
        self,
        resolve: Resolve = system_resolve,
        exempt: Exempt = NONE_EXEMPT,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._resolve, self._exempt = resolve, exempt
        self._trust = certifi_trust() if trust is None else trust

    async def fetch(self, url: str, limits: Limits) -> Fetched:
        """Raises Refused and Failed."""
        gathered = bytearray()
        async with self.opened(url, limits.max_bytes, limits.timeout_s) as parts:
            async for part in parts:
                gathered += part
        body = bytes(gathered)
        return Fetched(_accepted_type(body, limits.accept), hashlib.sha256(body).hexdigest(), body)

    @asynccontextmanager
    async def opened(self, url: str, max_bytes: int, timeout_s: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """What is there as it comes, for what is too large to be held, whatever its type. `timeout_s`: for everything,
        what is done with the parts included. Raises Refused and Failed, while it is read too.
        """
        try:
            async with asyncio.timeout(timeout_s), AsyncExitStack() as open_things:
                yield _parts(await self._follow(open_things, url, max_bytes), max_bytes)
        except TimeoutError:
            raise Failed("timeout", f"The fetch was not finished in {timeout_s:g} seconds.") from None

    async def _follow(self, open_things: AsyncExitStack, url: str, max_bytes: int) -> HttpIncoming:
        """By a client of its own, so that nothing of one fetch reaches another."""
        client = HttpClient(trust=self._trust, reach_timeout_s=CONNECT_TIMEOUT_S)
        await open_things.enter_async_context(aclosing(client))
        target = read_target(url, self._exempt)
        for _ in range(MAX_REDIRECTS + 1):
            incoming = await self._visit(client, open_things, target)
            if incoming.status not in _REDIRECTS:
                _check_head(incoming, max_bytes)
                return incoming
            target = next_target(target, _location(incoming), self._exempt)
        raise Refused("too_many_redirects", f"The site redirects more than {MAX_REDIRECTS} times.")

    async def _visit(self, client: HttpClient, open_things: AsyncExitStack, target: Target) -> HttpIncoming:
        """One hop. The next address is tried only when there was no connection to the one before."""
        failure, cause = Failed("name_not_resolved", "The host's name has no address."), None
        for address in await checked_addresses(target, self._resolve):
            asking = client.open(_request(target, address), server_hostname=target.host)
            try:
                return await open_things.enter_async_context(asking)
            except HttpFailure as error:
                if error.kind not in (*NOT_CONNECTED, "TlsFailed"):
                    raise _broken() from error
                failure, cause = _not_connected(error), error
        raise failure from cause


def _request(target: Target, address: Address) -> HttpRequest:
    headers = {
        "host": target.host_header,
        "user-agent": USER_AGENT,
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }
    return HttpRequest("GET", url_at(target, address), headers)


def _check_head(incoming: HttpIncoming, max_bytes: int) -> None:
    if incoming.status != 200:
        said = f"The site answered with status {incoming.status}."
        raise Failed("upstream_status", said, incoming.status)
    if any(encoding not in ("", "identity") for encoding in incoming.encodings):
        raise Refused("content_encoding", "The site compresses its answer although it was asked not to.")
    if int(incoming.headers.get("content-length", "0")) > max_bytes:
        raise _too_large(max_bytes)


async def _parts(incoming: HttpIncoming, max_bytes: int) -> AsyncIterator[bytes]:
    read_bytes = 0
    try:
        async for part in incoming.chunks():
            read_bytes += len(part)
            if read_bytes > max_bytes:
                raise _too_large(max_bytes)
            yield part
    except HttpFailure as error:
        raise _broken() from error


def _too_large(max_bytes: int) -> Refused:
    return Refused("too_large", f"The content is larger than {max_bytes} bytes.")


def _broken() -> Failed:
    return Failed("protocol_error", "The site broke off or did not speak HTTP.")


def _location(incoming: HttpIncoming) -> str:
    if location := incoming.headers.get("location"):
        return location
    raise Refused("redirect_invalid", "The site redirects without saying where to.")


def _not_connected(failure: HttpFailure) -> Failed:
    if failure.kind == "TlsFailed":
        return Failed("tls_failed", "The site's certificate is not good, or its TLS is not.")
    return Failed("connect_failed", "The site cannot be connected to.")


def _accepted_type(body: bytes, accept: tuple[str, ...]) -> str:
    content_type = sniff(body)
    if content_type is None:
        raise Refused("type_not_accepted", "The content is empty or of a type that is not known here.")
    if not content_type.startswith(accept):
        raise Refused("type_not_accepted", f"The content is {content_type}, which is not accepted here.")
    return content_type
