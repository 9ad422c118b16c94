"""Requests whose bodies are read as they go out, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.adapters.http_client import HttpClient
from gateway.adapters.outbound import PooledCarriers
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest, Sending, StreamedBody
from gateway.model.provider_errors import ProviderError
from tests.ports.test_outbound import Server, server  # noqa: F401

CHUNK = b"x" * 100_000
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
async def carriers() -> AsyncIterator[PooledCarriers]:
    client = HttpClient()
    yield PooledCarriers(client)
    await client.aclose()


def post(url: str) -> HttpRequest:
    return HttpRequest("POST", f"{url}/files", {"content-type": "application/jsonl"})


async def test_a_body_goes_out_whole_with_its_size_and_as_it_is_read(
    server: Server,  # noqa: F811
    carriers: PooledCarriers,
) -> None:
    heads: list[bytes] = []
    bodies: list[bytes] = []
    read, arrived = 0, asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).lower())
        bodies.append(await reader.readexactly(len(CHUNK)))
        arrived.set()
        bodies.append(await reader.readexactly(2 * len(CHUNK)))
        writer.write(OK)
        await writer.drain()

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(3):
            read += 1
            yield CHUNK
            await arrived.wait()  # the first is there before the second is read

    server.script = script
    sending = Sending()
    async with carriers.open(post(server.url), StreamedBody(3 * len(CHUNK), chunks), sending) as incoming:
        assert (await incoming.whole()).body == b"ok"
    assert b"".join(bodies) == 3 * CHUNK
    assert b"content-length: 300000\r\n" in heads[0]
    assert b"transfer-encoding" not in heads[0]
    assert (read, sending.has_left) == (3, True)


async def test_what_reading_it_raises_is_passed_on(
    server: Server,  # noqa: F811
    carriers: PooledCarriers,
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def chunks() -> AsyncIterator[bytes]:
        yield CHUNK
        raise StorageUnavailable("not now")

    server.script = script
    with pytest.raises(StorageUnavailable):
        async with carriers.open(post(server.url), StreamedBody(3 * len(CHUNK), chunks)):
            pass


async def test_a_server_that_hangs_up_while_it_is_sent_is_a_provider_error_and_is_sent_nothing_again(
    server: Server,  # noqa: F811
    carriers: PooledCarriers,
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1_000)
        writer.transport.abort()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield CHUNK

    server.script = script
    with pytest.raises(ProviderError):
        async with carriers.open(post(server.url), StreamedBody(100 * len(CHUNK), chunks)):
            pass
    assert server.connections == 1


async def test_where_nobody_listens_nothing_has_left(carriers: PooledCarriers) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield CHUNK

    sending = Sending()
    with pytest.raises(ProviderError):
        async with carriers.open(post("http://127.0.0.1:1"), StreamedBody(len(CHUNK), chunks), sending):
            pass
    assert not sending.has_left
