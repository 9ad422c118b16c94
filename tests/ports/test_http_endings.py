"""How connections end, with TLS and without, and what becomes of the answer that was under way."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.adapters import http_connection, http_names
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.adapters.http_names import Names
from gateway.model.http import HttpRequest, StreamedBody
from tests.ports.guarded_fetch.certificates import Authority
from tests.ports.test_outbound import Server, post, request_head, server  # noqa: F401 - the fixture

LONG = bytes(range(256)) * 1600
"""409,600 bytes: more than asyncio takes from TLS at a time."""
Cut = Callable[[bytes, int], Awaitable[list[bytes]]]
"""What is read of an answer after which the connection ends without TLS saying so, so many times."""
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Secured:
    """A server with TLS that answers by `script`."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self.script: Answering | None = None

    async def __aenter__(self) -> Secured:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.url = f"https://localhost:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self.script is not None
        try:
            await self.script(reader, writer)
        finally:
            writer.close()


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[tuple[Secured, HttpClient]]:
    authority = Authority(tmp_path)
    client = HttpClient(trust=authority.trust)
    async with Secured(authority.server("localhost")) as here:
        yield here, client
    await client.aclose()


async def read_slowly(client: HttpClient, url: str) -> bytes:
    body = b""
    async with client.open(HttpRequest("GET", url, {})) as incoming:
        async for chunk in incoming.chunks():
            body += chunk
            await asyncio.sleep(0.003)
    return body


def answers_and_ends_without_tls(listening: socket.socket, tls: ssl.SSLContext, answer: bytes, times: int) -> None:
    """TCP's end follows at once, without a word of TLS."""
    for _ in range(times):
        with listening.accept()[0] as accepted, tls.wrap_socket(accepted, server_side=True) as secured:
            secured.recv(10_000)
            secured.sendall(answer)
            with socket.socket(fileno=os.dup(secured.fileno())) as raw:
                raw.shutdown(socket.SHUT_WR)
            while secured.recv(10_000):
                pass


@pytest.fixture
async def cut(tmp_path: Path) -> AsyncIterator[Cut]:
    authority = Authority(tmp_path)
    client, tls = HttpClient(trust=authority.trust), authority.server("localhost")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://localhost:{listening.getsockname()[1]}/"

        async def answered(answer: bytes, times: int) -> list[bytes]:
            serving = asyncio.create_task(
                asyncio.to_thread(answers_and_ends_without_tls, listening, tls, answer, times)
            )
            try:
                return [await read_slowly(client, url) for _ in range(times)]
            finally:
                await client.aclose()
                await serving

        yield answered


@pytest.mark.parametrize("has_length", [True, False])
async def test_nothing_of_an_answer_is_lost_when_the_server_closes_after_it(
    secured: tuple[Secured, HttpClient], has_length: bool
) -> None:
    here, client = secured

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        length = f"content-length: {len(LONG)}\r\n" if has_length else ""
        writer.write(f"HTTP/1.1 200 OK\r\n{length}connection: close\r\n\r\n".encode() + LONG)

    here.script = script
    for _ in range(5):
        assert await read_slowly(client, here.url) == LONG


async def test_nothing_of_an_answer_with_a_length_is_lost_when_the_connection_is_cut_after_it(cut: Cut) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(LONG)}\r\n\r\n".encode()
    assert await cut(head + LONG, 5) == [LONG] * 5


async def test_a_body_without_a_length_that_ends_without_tls_saying_so_is_not_whole(cut: Cut) -> None:
    with pytest.raises(HttpFailure, match="Disconnected"):
        await cut(b"HTTP/1.1 200 OK\r\n\r\nhalf of it", 1)


async def test_who_has_begun_to_answer_is_not_asked_again(server: Server) -> None:  # noqa: F811
    """A POST that somebody has read and perhaps worked for."""
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await request_head(reader))
            if len(heads) == 1:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nx-request-id: 1")
                return

    server.script = script
    client = HttpClient()
    assert (await client.send(post(server.url), 5.0, 100)).status == 200
    with pytest.raises(HttpFailure, match="Disconnected"):
        await client.send(post(server.url), 5.0, 100)
    assert len(heads) == 2
    await client.aclose()


async def test_what_lies_in_a_kept_connection_is_no_answer_to_what_comes_next(server: Server) -> None:  # noqa: F811
    """The loop has not seen it: the environment was frozen when it came."""
    writers: list[asyncio.StreamWriter] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while True:
            await request_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    server.script = script
    client = HttpClient()
    assert (await client.send(post(server.url), 5.0, 100)).body == b"ok"
    with socket.socket(fileno=os.dup(writers[0].get_extra_info("socket").fileno())) as raw:
        raw.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
    assert (await client.send(post(server.url), 5.0, 100)).body == b"ok"
    assert server.connections == 2
    await client.aclose()


@pytest.mark.parametrize(
    ("said", "kind"), [(b"0123456789DELETE / HTTP/1.1\r\n\r\n", "BodyTooLong"), (b"01", "BodyTooShort")]
)
async def test_a_streamed_body_of_another_size_is_no_request(
    server: Server,  # noqa: F811
    said: bytes,
    kind: str,
) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await request_head(reader))
        heads.append(await reader.read(1000))

    async def chunks() -> AsyncIterator[bytes]:
        yield said

    server.script = script
    client = HttpClient()
    with pytest.raises(HttpFailure, match=kind):
        async with client.open(HttpRequest("PUT", server.url, {}), streamed=StreamedBody(10, chunks)):
            pass
    await client.aclose()
    assert b"DELETE" not in b"".join(heads)


async def test_what_was_streamed_leaves_no_connection(server: Server) -> None:  # noqa: F811
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await reader.read()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"ab"

    server.script = script
    client = HttpClient()
    for _ in range(3):
        async with client.open(HttpRequest("PUT", server.url, {}), streamed=StreamedBody(2, chunks)) as incoming:
            assert (await incoming.whole(100)).body == b"ok"
    assert server.connections == 3
    await client.aclose()


async def test_a_server_that_hangs_up_while_it_is_told_more_is_not_waited_for(server: Server) -> None:  # noqa: F811
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write_eof()
        await asyncio.Event().wait()

    server.script = script
    client = HttpClient()
    async with asyncio.timeout(3):
        with pytest.raises(HttpFailure, match="Disconnected"):
            await client.send(HttpRequest("POST", server.url, {}, bytes(20_000_000)), 10.0, 100)
    await client.aclose()


class TestNames:
    async def test_who_asks_at_once_shares_one_lookup_that_is_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        def find(host: str) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        monkeypatch.setattr(http_names, "_find", find)
        names = Names()
        found = await asyncio.gather(*(names.addresses_of("a.example") for _ in range(20)))
        assert found == [["127.0.0.1"]] * 20
        assert await names.addresses_of("a.example") == ["127.0.0.1"]
        assert asked == ["a.example"]
        names.forget("a.example")
        await names.addresses_of("a.example")
        assert len(asked) == 2

    async def test_one_that_hangs_holds_up_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nor does it take a thread for each that gave it up."""
        may_go, asked = threading.Event(), []

        def find(host: str) -> list[str]:
            asked.append(host)
            if host == "deaf.example":
                may_go.wait(10)
            return ["127.0.0.1"]

        monkeypatch.setattr(http_names, "_find", find)
        names = Names()
        for _ in range(40):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await names.addresses_of("deaf.example")
        async with asyncio.timeout(1):
            assert await names.addresses_of("well.example") == ["127.0.0.1"]
        assert asked == ["deaf.example", "well.example"]
        may_go.set()
        assert await names.addresses_of("deaf.example") == ["127.0.0.1"]

    async def test_another_address_is_tried_when_one_swallows_what_is_sent(
        self,
        server: Server,  # noqa: F811
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.2", int(server.url.rstrip("/").rpartition(":")[2])))
            full.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(full.getsockname())

            async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await request_head(reader)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await reader.read()

            server.script = script
            monkeypatch.setattr(http_names, "_find", lambda _host: ["127.0.0.2", "127.0.0.1"])
            monkeypatch.setattr(http_connection, "AN_ADDRESS_S", 0.1)
            client = HttpClient()
            url = server.url.replace("127.0.0.1", "provider.example")
            assert (await client.send(post(url), 5.0, 100)).body == b"ok"
            await client.aclose()
            for each in waiting:
                each.close()
