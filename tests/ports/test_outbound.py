"""The way out to providers, over real sockets: what arrives, when, and what a broken connection becomes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.adapters import http_client, http_names
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
    client = HttpClient(looks_again=True)
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


def working(on_the_second: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> Script:
    """Answers the first request of a connection, and does `on_the_second` before it hangs up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await request_head(reader)
        await on_the_second(writer)

    return script


async def reset(writer: asyncio.StreamWriter) -> None:
    """Closes as a server does that knows the connection no more."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def work(_writer: asyncio.StreamWriter) -> None:
    """For longer than a dead connection needs to be seen: of no time at all in these tests."""


async def test_a_kept_connection_that_the_server_reset_costs_nobody_a_request(
    server: Server, outbound: PooledOutbound
) -> None:
    server.script = working(reset)
    for _ in range(3):
        async with asyncio.timeout(5), outbound.open(post(server.url)) as incoming:
            assert (await incoming.whole()).body == b"{}"
    assert server.connections == 3


async def test_what_a_server_may_have_worked_for_is_not_sent_again(
    server: Server, outbound: PooledOutbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "STALE_WITHIN_S", 0.0)
    server.script = working(work)
    async with outbound.open(post(server.url)) as incoming:
        await incoming.whole()
    sending = Sending()
    with pytest.raises(ProviderError, match="Disconnected"):
        async with asyncio.timeout(5), outbound.open(post(server.url), sending):
            pass
    assert (server.connections, sending.has_left) == (1, True)


async def test_what_may_be_asked_twice_is(
    server: Server, outbound: PooledOutbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "STALE_WITHIN_S", 0.0)
    server.script = working(work)
    for _ in range(2):
        async with asyncio.timeout(5), outbound.open(HttpRequest("GET", server.url, {})) as incoming:
            assert (await incoming.whole()).body == b"{}"
    assert server.connections == 2


async def test_a_request_goes_out_twice_at_most_however_many_kept_connections_are_dead(
    server: Server, outbound: PooledOutbound
) -> None:
    all_came = asyncio.Barrier(4)
    requests = 0

    async def hang_up_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        if server.connections <= 4:
            await request_head(reader)
            await all_came.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await request_head(reader)
        requests += 1

    async def call() -> None:
        async with asyncio.timeout(5), outbound.open(post(server.url)) as incoming:
            await incoming.whole()

    server.script = hang_up_later
    await asyncio.gather(*(call() for _ in range(4)))
    with pytest.raises(ProviderError):
        await call()
    assert (requests, server.connections) == (2, 5)


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


async def holds(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begins an answer, and ends it once the connection is closed."""
    await request_head(reader)
    writer.write(HEAD)
    await reader.read()


async def status_of(outbound: PooledOutbound, url: str) -> int:
    async with asyncio.timeout(5), outbound.open(post(url)) as incoming:
        return incoming.status


async def test_who_waits_for_a_free_connection_does_so_in_his_own_time(
    server: Server,
) -> None:
    """That others take long is no failure. Until there is one nothing has left, so nothing is paid."""
    server.script, client, sending = holds, HttpClient(max_connections=1, reach_timeout_s=0.05), Sending()
    outbound = PooledOutbound(client)
    async with outbound.open(post(server.url)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), outbound.open(post(server.url), sending):
                pass
        waiting = asyncio.create_task(status_of(outbound, server.url))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
    assert await waiting == 200
    await client.aclose()
    assert (sending.has_left, server.connections) == (False, 2)


async def test_a_host_that_holds_all_its_connections_holds_up_no_other(server: Server) -> None:
    server.script, client = holds, HttpClient(trust=None)
    beside = client.beside(max_connections=3, max_to_one_host=2)
    outbound, other = PooledOutbound(beside), server.url.replace("127.0.0.1", "localhost")
    async with outbound.open(post(server.url)), outbound.open(post(server.url)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), outbound.open(post(server.url)):
                pass
        for free in (outbound, PooledOutbound(client)):
            assert await status_of(free, other) == 200
    assert await status_of(outbound, server.url) == 200
    await beside.aclose()
    await client.aclose()


@pytest.mark.parametrize("times", [1, 2])
async def test_a_provider_that_is_not_found_is_looked_for_once_more(
    server: Server, outbound: PooledOutbound, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    failures = [socket.gaierror(socket.EAI_AGAIN, "Try again")] * times

    def found_late(_host: str) -> list[str]:
        if failures:
            raise failures.pop()
        return ["127.0.0.1"]

    server.script = holds
    monkeypatch.setattr(http_names, "_find", found_late)
    url = server.url.replace("127.0.0.1", "provider.example")
    if times == 1:
        assert await status_of(outbound, url) == 200
    else:
        with pytest.raises(ProviderError):
            await status_of(outbound, url)
    assert failures == []


@pytest.mark.parametrize("why", ["no such name", "no TLS"])
async def test_a_provider_that_is_not_to_be_reached_has_been_sent_nothing(
    server: Server, outbound: PooledOutbound, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def nobody(_host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    server.script, sending = hang_up, Sending()
    url = server.url.replace("http://", "https://")
    if why == "no such name":
        monkeypatch.setattr(http_names, "_find", nobody)
        url = "https://api.provider.example"
    with pytest.raises(ProviderError) as caught:
        async with outbound.open(post(url), sending):
            pass
    assert not sending.has_left
    assert "provider.example" not in caught.value.message and "127.0.0.1" not in caught.value.message
