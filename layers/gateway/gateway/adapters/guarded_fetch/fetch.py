"""The fetch itself: every hop is checked anew, and the connection goes to the very address that was checked."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar

import aiohttp
import certifi
from msgspec import Struct
from yarl import URL

from gateway.adapters.guarded_fetch.address import NONE_EXEMPT, Address, Exempt
from gateway.adapters.guarded_fetch.pin import checked_addresses, url_at
from gateway.adapters.guarded_fetch.refusal import Failed, Refused
from gateway.adapters.guarded_fetch.resolve import Resolve, system_resolve
from gateway.adapters.guarded_fetch.target import Target, next_target, read_target
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
        self._trust = ssl.create_default_context(cafile=certifi.where()) if trust is None else trust

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

    def _session(self) -> aiohttp.ClientSession:
        """New for each fetch, so that nothing of one reaches another."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trust, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            trust_env=False,
            auto_decompress=False,
        )

    async def _follow(self, open_things: AsyncExitStack, url: str, max_bytes: int) -> aiohttp.ClientResponse:
        session = await open_things.enter_async_context(self._session())
        target = read_target(url, self._exempt)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._visit(session, target)
            open_things.callback(response.close)  # what has not been read is not waited for
            if response.status not in _REDIRECTS:
                _check_head(response, max_bytes)
                return response
            target = next_target(target, _location(response), self._exempt)
        raise Refused("too_many_redirects", f"The site redirects more than {MAX_REDIRECTS} times.")

    async def _visit(self, session: aiohttp.ClientSession, target: Target) -> aiohttp.ClientResponse:
        """One hop. The next address is tried only when there was no connection to the one before."""
        failure, cause = Failed("name_not_resolved", "The host's name has no address."), None
        for address in await checked_addresses(target, self._resolve):
            try:
                return await _ask(session, target, address)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                failure, cause = _not_connected(error), error
            except (aiohttp.ClientError, OSError) as error:
                raise _broken() from error
        raise failure from cause


async def _ask(session: aiohttp.ClientSession, target: Target, address: Address) -> aiohttp.ClientResponse:
    headers = {
        "Host": target.host_header,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }
    return await session.get(
        URL(url_at(target, address), encoded=True),
        headers=headers,
        allow_redirects=False,
        server_hostname=target.host,
    )


def _check_head(response: aiohttp.ClientResponse, max_bytes: int) -> None:
    if response.status != 200:
        said = f"The site answered with status {response.status}."
        raise Failed("upstream_status", said, response.status)
    encodings = response.headers.getall("Content-Encoding", [])
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        raise Refused("content_encoding", "The site compresses its answer although it was asked not to.")
    if (response.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)


async def _parts(response: aiohttp.ClientResponse, max_bytes: int) -> AsyncIterator[bytes]:
    read_bytes = 0
    try:
        while part := await response.content.readany():
            read_bytes += len(part)
            if read_bytes > max_bytes:
                raise _too_large(max_bytes)
            yield part
    except (aiohttp.ClientError, OSError) as error:
        raise _broken() from error


def _too_large(max_bytes: int) -> Refused:
    return Refused("too_large", f"The content is larger than {max_bytes} bytes.")


def _broken() -> Failed:
    return Failed("protocol_error", "The site broke off or did not speak HTTP.")


def _location(response: aiohttp.ClientResponse) -> str:
    if location := response.headers.get("Location"):
        return location
    raise Refused("redirect_invalid", "The site redirects without saying where to.")


def _not_connected(error: aiohttp.ClientError) -> Failed:
    if isinstance(error, aiohttp.ClientSSLError):
        return Failed("tls_failed", "The site's certificate is not good, or its TLS is not.")
    return Failed("connect_failed", "The site cannot be connected to.")


def _accepted_type(body: bytes, accept: tuple[str, ...]) -> str:
    content_type = sniff(body)
    if content_type is None:
        raise Refused("type_not_accepted", "The content is empty or of a type that is not known here.")
    if not content_type.startswith(accept):
        raise Refused("type_not_accepted", f"The content is {content_type}, which is not accepted here.")
    return content_type
