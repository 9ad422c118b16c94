"""What is fetched, where the connection goes, and what the site gets to see of us."""

from __future__ import annotations

import hashlib
import socket

import pytest

from gateway.adapters.guarded_fetch.fetch import GuardedFetch
from tests.ports.guarded_fetch.conftest import PUBLIC, PUBLIC_V6, Fetch, fetch_by
from tests.ports.guarded_fetch.sites import CHUNKED_PNG, PNG, Names, Network, Site, answer, ok, redirect


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return False
    return True


async def test_a_picture(fetch: Fetch, network: Network) -> None:
    fetched = await fetch("https://site.example/a.png")
    assert (fetched.body, fetched.content_type) == (PNG, "image/png")
    assert fetched.sha256 == hashlib.sha256(PNG).hexdigest()
    assert network.attempts == [(PUBLIC, 443)]


async def test_the_request_names_the_host_and_carries_nothing_of_ours(
    fetch: Fetch, site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("machine site.example login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    site.answers["/set"] = redirect("/get")[:-2] + b"Set-Cookie: session=1; Path=/\r\n\r\n"
    await fetch("https://site.example/set")
    line, *headers = site.heads[1].decode().rstrip().split("\r\n")
    assert line == "GET /get HTTP/1.1"
    assert {header.lower() for header in headers} == {
        "host: site.example",
        "user-agent: llm-gateway-media-fetch",
        "accept: */*",
        "accept-encoding: identity",
        "connection: close",
    }


@pytest.mark.parametrize(
    ("url", "asked", "path"),
    [
        ("https://site.example", "site.example", "/"),
        ("https://site.example?a=b", "site.example", "/?a=b"),
        ("https://SITE.example.:443/x", "site.example", "/x"),
        ("HTTPS://site.example/x#fragment", "site.example", "/x"),
        ("https://site.example:0443/", "site.example", "/"),
        ("https://site.example:/", "site.example", "/"),
        ("https://b\u00fccher.site.example/", "xn--bcher-kva.site.example", "/"),
        ("https://xn--bcher-kva.site.example/", "xn--bcher-kva.site.example", "/"),
        ("https://site.example/a/../b/./c//d", "site.example", "/a/../b/./c//d"),
        ("https://site.example/%2e%2e/a%2Fb%2f?sig=a%2Fb%2B%3D+c&d=e@f:g", "site.example",
         "/%2e%2e/a%2Fb%2f?sig=a%2Fb%2B%3D+c&d=e@f:g"),
        ("https://site.example/\u00fc?q=\u20ac|<>\"", "site.example", "/%C3%BC?q=%E2%82%AC%7C%3C%3E%22"),
        ("https://site.example/%0d%0aX:%20y", "site.example", "/%0d%0aX:%20y"),
    ],
)  # fmt: skip
async def test_a_url_reaches_the_site_as_it_was_written(
    fetch: Fetch, names: Names, site: Site, url: str, asked: str, path: str
) -> None:
    names.answers["xn--bcher-kva.site.example"] = [[PUBLIC]]
    await fetch(url)
    assert (names.asked, site.paths) == ([asked], [path])
    assert f"\r\nhost: {asked}\r\n".encode() in site.heads[0]


@pytest.mark.parametrize(
    ("location", "reached"),
    [
        ("/b", "/b"),
        ("b", "/a/b"),
        ("?q", "/a/?q"),
        ("../b", "/b"),
        ("//files.site.example/b", "/b"),
        ("https://files.site.example/b", "/b"),
        ("https://site.example/b#x", "/b"),
    ],
)
async def test_redirects_are_followed(fetch: Fetch, site: Site, location: str, reached: str) -> None:
    site.answers["/a/"] = redirect(location)
    assert (await fetch("https://site.example/a/")).body == PNG
    assert site.paths == ["/a/", reached]


async def test_three_redirects_are_followed(fetch: Fetch, site: Site, names: Names) -> None:
    site.answers = {f"/{step}": redirect(f"/{step + 1}") for step in range(3)}
    assert (await fetch("https://site.example/0")).body == PNG
    assert (site.paths, names.asked) == (["/0", "/1", "/2", "/3"], ["site.example"] * 4)
    assert site.connections == 4


@pytest.mark.parametrize(
    "said",
    [CHUNKED_PNG, answer("200 OK") + PNG, ok(PNG, "Content-Encoding: identity"), ok(PNG, "Content-Type: text/plain")],
    ids=["chunked", "until-close", "identity", "misdeclared"],
)
async def test_every_way_to_send_a_body(fetch: Fetch, site: Site, said: bytes) -> None:
    site.answers["/"] = said
    assert (await fetch("https://site.example/")).body == PNG


async def test_a_larger_file(fetch: Fetch, site: Site) -> None:
    body = PNG + bytes(range(256)) * 8000
    site.answers["/"] = ok(body)
    assert (await fetch("https://site.example/", max_bytes=3_000_000)).body == body


@pytest.mark.parametrize(
    ("body", "accept", "content_type"),
    [
        (b"%PDF-1.7\n", ("image/", "application/pdf"), "application/pdf"),
        (b"a,b\n1,2\n", ("text/",), "text/csv"),
        (b"Hello", ("text/plain",), "text/plain"),
    ],
)
async def test_types_by_their_beginning(
    fetch: Fetch, site: Site, body: bytes, accept: tuple[str, ...], content_type: str
) -> None:
    site.answers["/"] = ok(body, "Content-Type: application/octet-stream")
    assert (await fetch("https://site.example/", accept=accept)).content_type == content_type


async def test_a_public_address_may_be_the_host_when_the_certificate_says_so(
    fetch: Fetch, names: Names, site: Site
) -> None:
    assert (await fetch(f"https://{PUBLIC}/")).body == PNG
    assert (names.asked, f"\r\nhost: {PUBLIC}\r\n".encode() in site.heads[0]) == ([], True)


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["v6.site.example", f"[{PUBLIC_V6}]", f"[{PUBLIC_V6.upper()}]"])
async def test_a_public_ipv6_address(fetch: Fetch, names: Names, network: Network, site: Site, host: str) -> None:
    names.answers["v6.site.example"] = [[PUBLIC_V6]]
    assert (await fetch(f"https://{host}/")).body == PNG
    assert network.attempts == [(PUBLIC_V6, 443)]
    assert f"\r\nhost: {host.lower()}\r\n".encode() in site.heads[0]


async def test_the_next_address_is_tried_when_one_is_dead(fetch: Fetch, names: Names, network: Network) -> None:
    names.answers["site.example"] = [["93.184.215.1", "93.184.215.2", PUBLIC]]
    network.dead = {"93.184.215.1", "93.184.215.2"}
    assert (await fetch("https://site.example/")).body == PNG
    assert [host for host, _ in network.attempts] == ["93.184.215.1", "93.184.215.2", PUBLIC]


async def test_no_more_than_three_addresses_are_tried(guarded: GuardedFetch, names: Names, network: Network) -> None:
    names.answers["site.example"] = [[f"93.184.215.{last}" for last in range(1, 9)]]
    network.dead = {f"93.184.215.{last}" for last in range(1, 9)}
    with pytest.raises(Exception, match="cannot be connected to"):
        await fetch_by(guarded)("https://site.example/")
    assert len(network.attempts) == 3
