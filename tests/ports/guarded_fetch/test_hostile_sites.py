"""Sites that begin well and turn: redirects, names that change, bodies without end, contents that lie."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from gateway.adapters.guarded_fetch.fetch import GuardedFetch
from gateway.adapters.guarded_fetch.refusal import Failed, NotFetched, Refused
from tests.ports.guarded_fetch.certificates import Authority
from tests.ports.guarded_fetch.conftest import PUBLIC, Fetch, fetch_by
from tests.ports.guarded_fetch.sites import PNG, Names, Network, Script, Site, answer, ok, redirect

URL = "https://site.example/"


async def code_of(fetched: Awaitable[object]) -> str:
    with pytest.raises(NotFetched) as caught:
        await fetched
    assert "site.example" not in caught.value.reason
    assert PUBLIC not in caught.value.reason
    return caught.value.code


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("https://127.0.0.1/", "address_not_public"),
        ("https://169.254.169.254/latest/meta-data/", "address_not_public"),
        ("https://169.254.170.2/v2/credentials", "address_not_public"),
        ("https://[::1]/", "address_not_public"),
        ("https://[fd00:ec2::254]/", "address_not_public"),
        ("https://[::ffff:127.0.0.1]/", "address_not_public"),
        ("//10.0.0.1/", "address_not_public"),
        ("https://2130706433/", "address_notation"),
        ("https://127.1/", "address_notation"),
        ("https://localhost/", "host_not_allowed"),
        ("https://evil.site.example/", "address_not_public"),
        ("https://unknown.site.example/", "name_not_resolved"),
        ("http://127.0.0.1:9001/2018-06-01/runtime/invocation/next", "scheme_not_allowed"),
        ("http://127.0.0.1:{port}/", "scheme_not_allowed"),  # what is exempt, but not from the outside
        ("https://127.0.0.1:{port}/", "port_not_allowed"),
        ("http://site.example/", "scheme_not_allowed"),
        ("https://site.example:8443/", "port_not_allowed"),
        ("https://user:password@site.example/", "userinfo_not_allowed"),
        ("//user@site.example/", "userinfo_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "scheme_not_allowed"),
        ("data:image/png;base64,aGk=", "scheme_not_allowed"),
        ("/a b", "url_invalid"),
        ("\\\\127.0.0.1\\", "url_invalid"),
        ("https://[::1/", "redirect_invalid"),
        ("/" + "a" * 8180, "url_invalid"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_obeys_the_same_rules(
    guarded_locally: GuardedFetch, names: Names, network: Network, site: Site, inside: Site, location: str, code: str,
    status: int,
) -> None:  # fmt: skip
    names.answers["evil.site.example"] = [["10.0.0.1"]]
    site.answers["/"] = redirect(location.replace("{port}", str(inside.port)), status)
    assert await code_of(fetch_by(guarded_locally)(URL)) == code
    assert (network.attempts, site.paths, inside.connections) == ([(PUBLIC, 443)], ["/"], 0)


@pytest.mark.parametrize("status", ["301 Gone Elsewhere", "302 Found"])
async def test_a_redirect_must_say_where_to(fetch: Fetch, site: Site, status: str) -> None:
    site.answers["/"] = answer(status, "Content-Length: 0")
    assert await code_of(fetch(URL)) == "redirect_invalid"


async def test_the_fourth_redirect_is_not_followed(fetch: Fetch, site: Site) -> None:
    site.answers = {f"/{step}": redirect(f"/{step + 1}") for step in range(10)}
    assert await code_of(fetch(URL + "0")) == "too_many_redirects"
    assert site.paths == ["/0", "/1", "/2", "/3"]


async def test_a_name_that_changes_after_the_check_changes_nothing(
    fetch: Fetch, names: Names, network: Network
) -> None:
    """There is no second question whose answer could differ from the one that was checked."""
    names.answers["site.example"] = [[PUBLIC], ["127.0.0.1"]]
    assert (await fetch(URL)).body == PNG
    assert (names.asked, network.attempts) == (["site.example"], [(PUBLIC, 443)])


async def test_a_name_that_has_changed_is_checked_again_by_the_next_hop(
    fetch: Fetch, names: Names, network: Network, site: Site
) -> None:
    names.answers["site.example"] = [[PUBLIC], ["169.254.169.254"]]
    site.answers["/"] = redirect("/again")
    assert await code_of(fetch(URL)) == "address_not_public"
    assert (names.asked, network.attempts) == (["site.example"] * 2, [(PUBLIC, 443)])


async def test_a_name_that_has_changed_is_checked_again_by_the_next_fetch(fetch: Fetch, names: Names) -> None:
    names.answers["site.example"] = [[PUBLIC], [PUBLIC, "127.0.0.1"]]
    assert (await fetch(URL)).body == PNG
    assert await code_of(fetch(URL)) == "address_not_public"


async def test_a_name_without_addresses_is_not_connected_to(fetch: Fetch, names: Names, network: Network) -> None:
    names.answers["site.example"] = [[]]
    assert await code_of(fetch(URL)) == "name_not_resolved"
    assert network.attempts == []


@pytest.mark.parametrize("certified", ["other.example", "evil.example", "1.2.3.4", "*.example"])
async def test_a_certificate_for_another_name_is_not_good(
    fetch: Fetch, network: Network, authority: Authority, certified: str
) -> None:
    async with Site().open(authority.server(certified)) as other:
        network.to = other
        assert await code_of(fetch(URL)) == "tls_failed"
    assert other.heads == []


async def test_a_certificate_for_the_address_is_not_one_for_the_name(
    fetch: Fetch, network: Network, authority: Authority
) -> None:
    async with Site().open(authority.server(PUBLIC)) as other:
        network.to = other
        assert await code_of(fetch(URL)) == "tls_failed"
    assert other.heads == []


async def test_a_certificate_of_an_unknown_authority_is_not_good(names: Names, network: Network, site: Site) -> None:
    """By default the public authorities are trusted, and so the one of this test is not."""
    assert await code_of(fetch_by(GuardedFetch(names.resolve))(URL)) == "tls_failed"
    assert site.heads == []


async def test_a_site_without_tls_is_not_spoken_to(fetch: Fetch, network: Network) -> None:
    heard: list[bytes] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok())
        heard.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        network.to = Site(server.sockets[0].getsockname()[1])
        assert await code_of(fetch(URL)) == "tls_failed"
    assert b"GET" not in b"".join(heard)


async def test_a_site_that_refuses_connections(fetch: Fetch, network: Network) -> None:
    network.dead = {PUBLIC}
    assert await code_of(fetch(URL)) == "connect_failed"


def endless(head: bytes, piece: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # drain alone lets nobody else run while the buffer is below its mark
        raise ConnectionResetError

    return script


CHUNKED = answer("200 OK", "Content-Type: image/png", "Transfer-Encoding: chunked")
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


@pytest.mark.parametrize(
    "script",
    [
        endless(CHUNKED, CHUNK),
        endless(answer("200 OK", "Content-Type: image/png"), b"x" * 0x10000),
        endless(answer("200 OK", "Content-Length: 1000000001"), b"x" * 0x10000),
    ],
    ids=["chunked", "until-close", "announced"],
)
async def test_a_body_without_end_is_broken_off(fetch: Fetch, site: Site, script: Script) -> None:
    site.answers["/"] = script
    assert await code_of(fetch(URL, max_bytes=200_000)) == "too_large"
    async with asyncio.timeout(5):
        await site.broken.wait()


async def test_an_announced_size_is_believed_when_it_is_too_large(fetch: Fetch, site: Site) -> None:
    site.answers["/"] = answer("200 OK", "Content-Length: 1001")  # and then nothing
    assert await code_of(fetch(URL, max_bytes=1000)) == "too_large"


async def test_one_byte_too_many(fetch: Fetch, site: Site) -> None:
    assert (await fetch(URL, max_bytes=len(PNG))).body == PNG
    assert await code_of(fetch(URL, max_bytes=len(PNG) - 1)) == "too_large"


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def stuck_in_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(answer("200 OK", "Content-Length: 100") + b"x")
    await reader.read()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never silent for long, so only a limit for the whole fetch ends it."""
    writer.write(answer("200 OK", "Content-Length: 100000"))
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("script", [silent, stuck_in_the_body, dripping])
async def test_a_slow_site_is_given_up(fetch: Fetch, site: Site, script: Script) -> None:
    site.answers["/"] = script
    assert await code_of(fetch(URL, timeout_s=0.1)) == "timeout"


async def test_a_chain_of_slow_redirects_has_one_limit(fetch: Fetch, site: Site) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.06)
        writer.write(redirect("/"))

    site.answers["/"] = slow
    assert await code_of(fetch(URL, timeout_s=0.1)) == "timeout"


async def test_a_resolver_that_does_not_answer_is_given_up(names: Names, network: Network) -> None:
    async def hanging(name: str) -> list[object]:
        await asyncio.Event().wait()
        return []

    names_that_hang: Callable[[str], Awaitable[list[object]]] = hanging
    fetcher = GuardedFetch(names_that_hang)  # type: ignore[arg-type]  # it never returns anything
    assert await code_of(fetch_by(fetcher)(URL, timeout_s=0.05)) == "timeout"


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x"])
async def test_compression_is_refused_without_looking(fetch: Fetch, site: Site, encoding: str) -> None:
    site.answers["/"] = ok(BOMB, f"Content-Encoding: {encoding}", "Content-Type: image/png")
    assert await code_of(fetch(URL)) == "content_encoding"


async def test_a_bomb_in_two_headers(fetch: Fetch, site: Site) -> None:
    site.answers["/"] = ok(BOMB, "Content-Encoding: identity", "Content-Encoding: gzip")
    assert await code_of(fetch(URL)) == "content_encoding"


@pytest.mark.parametrize("headers", [(), ("Content-Type: image/png",), ("Content-Type: application/gzip",)])
async def test_a_bomb_that_hides_is_never_unpacked(fetch: Fetch, site: Site, headers: tuple[str, ...]) -> None:
    site.answers["/"] = ok(BOMB, *headers)
    assert await code_of(fetch(URL)) == "type_not_accepted"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "text/plain"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        (b'{"Code": "Success", "AccessKeyId": "ASIA"}', "application/json"),
        (b"#!/bin/sh\nrm -rf /\n", "text/plain"),
        (b"\x7fELF\x02\x01\x01" + bytes(9), None),
        (b"MZ\x90\0\3\0\0\0", None),
        (b"PK\3\4" + bytes(30), None),
        (b"", None),
    ],
)
async def test_a_content_type_is_not_believed(fetch: Fetch, site: Site, body: bytes, named: str | None) -> None:
    site.answers["/"] = ok(body, "Content-Type: image/png", "Content-Disposition: inline; filename=a.png")
    with pytest.raises(Refused) as caught:
        await fetch(URL)
    assert caught.value.code == "type_not_accepted"
    assert named is None or named in caught.value.reason


@pytest.mark.parametrize("status", [201, 202, 203, 206, 300, 304, 400, 401, 403, 404, 407, 418, 429, 500, 503])
async def test_any_status_but_200_is_a_failure(fetch: Fetch, site: Site, status: int) -> None:
    site.answers["/"] = answer(f"{status} So", "Content-Type: image/png", "Content-Length: 0")
    with pytest.raises(Failed) as caught:
        await fetch(URL)
    assert (caught.value.code, str(status) in caught.value.reason) == ("upstream_status", True)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "ssh", "cut-head", "cut-body", "bad-chunk", "negative", "two-lengths", "bad-header", "long-header"],
)
async def test_what_is_not_http_is_a_failure(fetch: Fetch, site: Site, said: bytes) -> None:
    site.answers["/"] = said
    assert await code_of(fetch(URL)) == "protocol_error"


async def test_headers_without_end_are_broken_off(fetch: Fetch, site: Site) -> None:
    site.answers["/"] = endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: x\r\n" * 1000)
    assert await code_of(fetch(URL, timeout_s=2)) == "protocol_error"
