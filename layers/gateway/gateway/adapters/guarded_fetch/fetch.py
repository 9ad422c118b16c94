"""The fetch itself: every hop is checked anew, and the connection goes to the very address that was checked."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass, field

import aiohttp
import certifi
from yarl import URL

from gateway.adapters.guarded_fetch.address import NONE_EXEMPT, Address, Exempt
from gateway.adapters.guarded_fetch.pin import checked_addresses, url_at
from gateway.adapters.guarded_fetch.refusal import Failed, Refused
from gateway.adapters.guarded_fetch.resolve import Resolve, system_resolve
from gateway.adapters.guarded_fetch.target import Target, next_target, read_target
from gateway.model.media_type import sniff

MAX_REDIRECTS = 3
CONNECT_TIMEOUT_S = 5.0
USER_AGENT = "llm-gateway-media-fetch"
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Limits:
    """`timeout_s`: for everything, from resolving to the last byte. `accept`: beginnings of media types."""

    max_bytes: int
    timeout_s: float
    accept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """`content_type`: by the bytes. `sha256`: hex."""

    content_type: str
    sha256: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Redirect:
    location: str


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
        try:
            async with asyncio.timeout(limits.timeout_s), self._session() as session:
                body = await self._follow(session, url, limits.max_bytes)
        except TimeoutError:
            raise Failed("timeout", f"The fetch was not finished in {limits.timeout_s:g} seconds.") from None
        return Fetched(_accepted_type(body, limits.accept), hashlib.sha256(body).hexdigest(), body)

    def _session(self) -> aiohttp.ClientSession:
        """New for each fetch, so that nothing of one reaches another."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trust, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            trust_env=False,
            auto_decompress=False,
        )

    async def _follow(self, session: aiohttp.ClientSession, url: str, max_bytes: int) -> bytes:
        target = read_target(url, self._exempt)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._visit(session, target, max_bytes)
            if not isinstance(answer, _Redirect):
                return answer
            target = next_target(target, answer.location, self._exempt)
        raise Refused("too_many_redirects", f"The site redirects more than {MAX_REDIRECTS} times.")

    async def _visit(self, session: aiohttp.ClientSession, target: Target, max_bytes: int) -> bytes | _Redirect:
        """One hop. The next address is tried only when there was no connection to the one before."""
        failure, cause = Failed("name_not_resolved", "The host's name has no address."), None
        for address in await checked_addresses(target, self._resolve):
            try:
                return await _ask(session, target, address, max_bytes)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                failure, cause = _not_connected(error), error
            except (aiohttp.ClientError, OSError) as error:
                raise Failed("protocol_error", "The site broke off or did not speak HTTP.") from error
        raise failure from cause


async def _ask(session: aiohttp.ClientSession, target: Target, address: Address, max_bytes: int) -> bytes | _Redirect:
    headers = {
        "Host": target.host_header,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }
    async with session.get(
        URL(url_at(target, address), encoded=True),
        headers=headers,
        allow_redirects=False,
        server_hostname=target.host,
    ) as response:
        try:
            return await _read(response, max_bytes)
        finally:
            response.close()  # what has not been read is not waited for


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | _Redirect:
    if response.status in _REDIRECTS:
        return _Redirect(_location(response))
    if response.status != 200:
        raise Failed("upstream_status", f"The site answered with status {response.status}.")
    encodings = response.headers.getall("Content-Encoding", [])
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        raise Refused("content_encoding", "The site compresses its answer although it was asked not to.")
    body = bytearray()
    announced_bytes = response.content_length or 0
    while announced_bytes <= max_bytes and len(body) <= max_bytes:
        if not (part := await response.content.readany()):
            return bytes(body)
        body += part
    raise Refused("too_large", f"The content is larger than {max_bytes} bytes.")


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
