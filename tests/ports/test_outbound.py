"""The way out to providers, over real sockets: what arrives, when, and what a broken connection becomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.adapters.http_client import HttpClient
from gateway.adapters.outbound import PooledOutbound
from gateway.model.http import HttpRequest, Sending
from gateway.model.provider_errors import ProviderError

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Server:
    """Answers each connection by a script; counts them."""

    def __init__(self) -> None:
        self.connections = 0
        self.script: Script | None = None
        self.url = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            assert self.script is not None
            await self.script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield server
    listening.close()
    await listening.wait_closed()


@pytest.fixture
async def outbound() -> AsyncIterator[PooledOutbound]:
    client = HttpClient()
    yield PooledOutbound(client)
    await client.aclose()


async def request_head(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return head


def post(url: str) -> HttpRequest:
    return HttpRequest("POST", f"{url}/chat", {"content-type": "application/json"}, b"{}")


async def test_a_chunk_arrives_before_the_next_is_sent(server: Server, outbound: PooledOutbound) -> None:
    read_first = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(HEAD + b"5\r\nfirst\r\n")
        await read_first.wait()
        writer.write(b"6\r\nsecond\r\n0\r\n\r\n")
        await writer.drain()

    server.script = script
    async with asyncio.timeout(5), outbound.open(post(server.url)) as incoming:
        arriving = incoming.chunks()
        assert await anext(arriving) == b"first"
        read_first.set()
        assert [data async for data in arriving] == [b"second"]


async def test_connections_are_used_again(server: Server, outbound: PooledOutbound) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()

    server.script = script
    for _ in range(5):
        async with outbound.open(post(server.url)) as incoming:
            assert (await incoming.whole()).body == b"{}"
    assert server.connections == 1


async def test_nothing_listening_is_a_provider_error_without_the_address(outbound: PooledOutbound) -> None:
    with pytest.raises(ProviderError) as caught:
        async with outbound.open(post("http://127.0.0.1:1")):
            pass
    assert "127.0.0.1" not in caught.value.message


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"garbage\r\n\r\n"])
async def test_a_server_that_hangs_up_before_its_head_is_a_provider_error(
    server: Server, outbound: PooledOutbound, said: bytes
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(said)

    server.script = script
    with pytest.raises(ProviderError):
        async with asyncio.timeout(5), outbound.open(post(server.url)):
            pass


async def test_a_body_that_breaks_off_is_a_provider_error_after_what_came(
    server: Server, outbound: PooledOutbound
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(HEAD + b"5\r\nfirst\r\nff\r\ncut")
        await writer.drain()

    server.script = script
    arrived: list[bytes] = []
    with pytest.raises(ProviderError):
        async with asyncio.timeout(5), outbound.open(post(server.url)) as incoming:
            async for data in incoming.chunks():
                arrived.append(data)
    assert b"".join(arrived).startswith(b"first")


async def test_redirects_are_not_followed(server: Server, outbound: PooledOutbound) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/steal\r\ncontent-length: 0\r\n\r\n")

    server.script = script
    async with outbound.open(post(server.url)) as incoming:
        assert incoming.status == 307


async def test_an_endless_error_body_is_bounded(server: Server, outbound: PooledOutbound) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(100):
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()

    server.script = script
    with pytest.raises(ProviderError, match="TooLarge"):
        async with asyncio.timeout(5), outbound.open(post(server.url)) as incoming:
            await incoming.whole()


async def test_what_arrives_together_is_given_together(server: Server, outbound: PooledOutbound) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(HEAD + b"".join(b"4\r\nabcd\r\n" for _ in range(100)) + b"0\r\n\r\n")
        await writer.drain()

    server.script = script
    async with asyncio.timeout(5), outbound.open(post(server.url)) as incoming:
        pieces = [data async for data in incoming.chunks()]
    assert b"".join(pieces) == b"abcd" * 100
    assert len(pieces) < 10


async def test_only_the_headers_given_are_sent(server: Server, outbound: PooledOutbound) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await request_head(reader))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    server.script = script
    async with outbound.open(post(server.url)) as incoming:
        await incoming.whole()
    names = {line.split(b":")[0].lower() for line in heads[0].split(b"\r\n")[1:] if line}
    assert names == {b"host", b"content-type", b"content-length"}


async def test_a_cookie_is_never_kept(server: Server, outbound: PooledOutbound) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heads.append(await request_head(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 2\r\n\r\n{}")

    server.script = script
    for _ in range(2):
        async with outbound.open(post(server.url)) as incoming:
            await incoming.whole()
    assert b"cookie" not in heads[1].lower()


async def test_a_kept_connection_that_the_server_closed_costs_nobody_a_request(
    server: Server, outbound: PooledOutbound
) -> None:
    async def one_answer_per_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await request_head(reader)  # and closes just as the second request has come

    server.script = one_answer_per_connection
    for _ in range(3):
        async with asyncio.timeout(5), outbound.open(post(server.url)) as incoming:
            assert (await incoming.whole()).body == b"{}"
    assert server.connections == 3


async def test_a_new_connection_that_is_closed_unanswered_is_not_tried_again(
    server: Server, outbound: PooledOutbound
) -> None:
    async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await request_head(reader)

    server.script = hang_up
    with pytest.raises(ProviderError):
        async with asyncio.timeout(5), outbound.open(post(server.url)):
            pass
    assert server.connections == 1


async def test_whether_a_request_left_is_known_whatever_becomes_of_it(server: Server, outbound: PooledOutbound) -> None:
    async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await request_head(reader)

    async def be_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    unreached, hung_up, unanswered = Sending(), Sending(), Sending()
    with pytest.raises(ProviderError):
        async with outbound.open(post("http://127.0.0.1:1"), unreached):
            pass
    server.script = hang_up
    with pytest.raises(ProviderError):
        async with outbound.open(post(server.url), hung_up):
            pass
    server.script = be_silent
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), outbound.open(post(server.url), unanswered):
            pass
    assert [sending.has_left for sending in (unreached, hung_up, unanswered)] == [False, True, True]
