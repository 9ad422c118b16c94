"""The real fetcher over real sockets: a site with TLS that every connection leads to, and a site that is inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address

import pytest

from gateway.adapters.guarded_fetch.address import NONE_EXEMPT, Exempt
from gateway.adapters.guarded_fetch.fetch import Fetched, GuardedFetch, Limits
from tests.ports.guarded_fetch.certificates import Authority
from tests.ports.guarded_fetch.sites import Names, Network, Site

PUBLIC, PUBLIC_V6 = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
Fetch = Callable[..., Awaitable[Fetched]]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def site(authority: Authority) -> AsyncIterator[Site]:
    """A public site, of any name under site.example."""
    tls = authority.server("site.example", "*.site.example", "xn--bcher-kva.site.example", PUBLIC, PUBLIC_V6)
    async with Site().open(tls) as site:
        yield site


@pytest.fixture
async def inside() -> AsyncIterator[Site]:
    """What nobody outside may reach: it speaks http, as the services of a Lambda environment do."""
    async with Site().open(None) as site:
        yield site


@pytest.fixture
def names() -> Names:
    return Names({"site.example": [[PUBLIC]], "files.site.example": [[PUBLIC]]})


@pytest.fixture
async def network(site: Site, inside: Site, monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network(site, direct={inside.port})
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "sock_connect", network.lay(loop))
    return network


@pytest.fixture
def exempt(inside: Site) -> Exempt:
    return frozenset([(ip_address("127.0.0.1"), inside.port)])


@pytest.fixture
def guarded(names: Names, network: Network, authority: Authority) -> GuardedFetch:
    return GuardedFetch(names.resolve, NONE_EXEMPT, authority.trust)


@pytest.fixture
def guarded_locally(names: Names, network: Network, authority: Authority, exempt: Exempt) -> GuardedFetch:
    """As on the local stack, where one address and port inside is allowed."""
    return GuardedFetch(names.resolve, exempt, authority.trust)


@pytest.fixture
def fetch(guarded: GuardedFetch) -> Fetch:
    return fetch_by(guarded)


def fetch_by(fetcher: GuardedFetch) -> Fetch:
    def fetch(
        url: str, *, max_bytes: int = 1_000_000, timeout_s: float = 5.0, accept: tuple[str, ...] = ("image/",)
    ) -> Awaitable[Fetched]:
        return fetcher.fetch(url, Limits(max_bytes, timeout_s, accept))

    return fetch
