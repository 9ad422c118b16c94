"""What servers may say, byte by byte, and what the client makes of it."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from gateway.adapters import http_answer, http_connection
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.model.http import HttpRequest, HttpResponse
from tests.ports.test_outbound import Script, Server, post, request_head, reset, server  # noqa: F401 - the fixture

LONG_BYTES = 3_000_000


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.aclose()


def says(*parts: bytes, then_closes: bool = False) -> Script:
    """To every request of a connection the same, piece by piece."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_head(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if then_closes:
                return

    return script


async def whole(client: HttpClient, request: HttpRequest) -> HttpResponse:
    return await client.send(request, 5.0, 2 * LONG_BYTES)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;why=not\r\nllo\r\n0\r\ntrailer: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nx-early: 1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        2 * b"HTTP/1.1 103 Early Hints\r\n\r\n" + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_an_answer_is_the_same_however_it_is_cut(
    server: Server,  # noqa: F811
    client: HttpClient,
    said: bytes,
    at_once: bool,
) -> None:
    server.script = says(said) if at_once else says(*(bytes([byte]) for byte in said))
    for _ in range(2):
        answer = await whole(client, post(server.url))
        assert (answer.status, answer.body, "x-early" in answer.headers) == (200, b"hello", False)
    assert server.connections == 1


async def test_a_body_without_a_length_ends_with_its_connection(
    server: Server,  # noqa: F811
    client: HttpClient,
) -> None:
    server.script = says(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo", then_closes=True)
    for _ in range(2):
        assert (await whole(client, post(server.url))).body == b"hello"
    assert server.connections == 2


async def test_a_body_without_a_length_that_is_cut_off_is_not_whole(
    server: Server,  # noqa: F811
    client: HttpClient,
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await writer.drain()
        await asyncio.sleep(0.05)
        await reset(writer)

    server.script = script
    with pytest.raises(HttpFailure, match="Disconnected"):
        await whole(client, post(server.url))


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_some_answers_have_no_body(server: Server, client: HttpClient, status: bytes) -> None:  # noqa: F811
    server.script = says(b"HTTP/1.1 " + status + b"\r\n\r\n")
    for _ in range(2):
        assert (await whole(client, post(server.url))).body == b""
    assert server.connections == 1


async def test_a_head_that_was_asked_for_has_no_body(server: Server, client: HttpClient) -> None:  # noqa: F811
    server.script = says(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    for _ in range(2):
        answer = await whole(client, HttpRequest("HEAD", server.url, {}))
        assert (answer.headers["content-length"], answer.body) == ("5", b"")
    assert server.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}surplus",
    ],
)
async def test_a_connection_that_cannot_be_trusted_is_not_used_again(
    server: Server,  # noqa: F811
    client: HttpClient,
    said: bytes,
) -> None:
    server.script = says(said)
    for _ in range(2):
        assert (await whole(client, post(server.url))).body == b"{}"
    assert server.connections == 2


async def test_what_comes_before_it_is_asked_is_nobody_s_answer(server: Server, client: HttpClient) -> None:  # noqa: F811
    said = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        await said.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")
        await reader.read()

    server.script = script
    assert (await whole(client, post(server.url))).body == b"{}"
    said.set()
    await asyncio.sleep(0.05)
    said.clear()
    assert (await whole(client, post(server.url))).body == b"{}"
    assert server.connections == 2


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "NoHttp"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 2\r\n\r\nhello", "NoHttp"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "NoHttp"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "NoHttp"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, "HeadTooLarge"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n{}", "UnknownEncoding"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello", "NoCompression"),
    ],
)
async def test_what_is_no_answer_is_a_failure(
    server: Server,  # noqa: F811
    client: HttpClient,
    said: bytes,
    kind: str,
) -> None:
    server.script = says(said)
    with pytest.raises(HttpFailure) as caught:
        await whole(client, post(server.url))
    assert caught.value.kind == kind
    assert client.connections_in_use == 0


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_body_is_read(
    server: Server,  # noqa: F811
    client: HttpClient,
    encoding: str,
    compress: type,
) -> None:
    body = compress(b"hello" * 1000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    server.script = says(head, body[:10], body[10:])
    assert (await whole(client, post(server.url))).body == b"hello" * 1000


async def test_a_small_body_that_inflates_to_a_large_one_is_bounded(
    server: Server,  # noqa: F811
    client: HttpClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_answer, "INFLATED_AT_ONCE_BYTES", 1_000)
    body = gzip.compress(bytes(LONG_BYTES))
    server.script = says(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    sizes: list[int] = []
    async with client.open(post(server.url)) as incoming:
        async for piece in incoming.chunks():
            sizes.append(len(piece))
    assert (sum(sizes), max(sizes)) == (LONG_BYTES, 1_000)
    with pytest.raises(HttpFailure, match="TooLarge"):
        await client.send(post(server.url), 5.0, 10_000)


async def test_a_long_body_waits_in_the_network_until_it_is_read(
    server: Server,  # noqa: F811
    client: HttpClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_answer, "HIGH_WATER_BYTES", 10_000)
    server.script = says(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LONG_BYTES, bytes(LONG_BYTES))
    read_bytes = 0
    async with asyncio.timeout(5), client.open(post(server.url)) as incoming:
        await asyncio.sleep(0.05)
        async for piece in incoming.chunks():
            read_bytes += len(piece)
            assert len(piece) < 1_000_000
    assert read_bytes == LONG_BYTES


async def test_a_large_body_goes_out_in_pieces(
    server: Server,  # noqa: F811
    client: HttpClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "MAX_BYTES_AT_ONCE", 100_000)
    body = bytes(range(256)) * 12_000
    received: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            received.append(await reader.readexactly(len(body)))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    server.script = script
    for _ in range(2):
        assert (await whole(client, HttpRequest("POST", server.url, {}, body))).status == 200
    assert received == [body, body]
    assert server.connections == 1


async def test_who_answers_before_he_has_read_all_is_heard_and_sent_no_more(
    server: Server,  # noqa: F811
    client: HttpClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "MAX_BYTES_AT_ONCE", 100_000)
    both_answered = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        await both_answered.wait()

    server.script = script
    for _ in range(2):
        answer = await whole(client, HttpRequest("POST", server.url, {}, bytes(20_000_000)))
        assert (answer.status, answer.body) == (413, b"{}")
    both_answered.set()
    assert server.connections == 2


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/", {"authorization": "Bearer x\r\nhost: evil"}),
        ("/", {"x": "a\nb"}),
        ("/", {"x": "a\rb"}),
        ("/", {"x": "a\0b"}),
        ("/ HTTP/1.1", {}),
    ],
)
async def test_nothing_brings_a_line_of_its_own(
    server: Server,  # noqa: F811
    client: HttpClient,
    url: str,
    headers: dict[str, str],
) -> None:
    server.script = says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    with pytest.raises(HttpFailure, match="InvalidRequest"):
        await whole(client, HttpRequest("POST", server.url + url, headers))


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http://x:99999/", "http://[::1/", "/relative"])
async def test_what_is_no_url_is_not_asked(client: HttpClient, url: str) -> None:
    with pytest.raises(HttpFailure, match="InvalidUrl"):
        await whole(client, post(url))


async def test_connections_that_nobody_uses_are_closed(server: Server) -> None:  # noqa: F811
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await reader.read()
        closed.set()

    server.script, client = script, HttpClient(keep_alive_s=0.05)
    await whole(client, post(server.url))
    async with asyncio.timeout(5):
        await closed.wait()
    await client.aclose()


async def test_an_answer_that_is_left_unread_leaves_no_connection(server: Server, client: HttpClient) -> None:  # noqa: F811
    server.script = says(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe")
    for _ in range(2):
        async with client.open(post(server.url)) as incoming:
            assert (incoming.status, client.connections_in_use) == (200, 1)
        assert client.connections_in_use == 0
    assert server.connections == 2
