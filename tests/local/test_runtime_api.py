"""The Runtime API over real sockets: what a runtime may do, however its bytes are cut up."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest

from local.execution.reply import BUFFERED_BYTES, Failure, Invocation, InvocationFailed, Reply
from local.execution.runtime_api import RuntimeConnection

_PREFIX = "/2018-06-01/runtime"


class Host:
    """An execution environment without a process."""

    def __init__(self) -> None:
        self.invocation = Invocation("id-1", b'{"x": 1}', "arn:f", trace_id="Root=1")
        self.polls: asyncio.Queue[RuntimeConnection] = asyncio.Queue()
        self.init_failure: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()

    def poll(self, connection: RuntimeConnection) -> None:
        self.polls.put_nowait(connection)

    def connected(self, connection: RuntimeConnection) -> None:
        self.gone.clear()

    def disconnected(self, connection: RuntimeConnection) -> None:
        self.gone.set()

    def reply_of(self, request_id: str) -> Reply | None:
        reply = self.invocation.reply
        return reply if request_id == self.invocation.request_id and not reply.finished else None

    def answered(self, request_id: str, failure: Failure | None) -> None:
        self.invocation.reply.finish(failure)

    def init_failed(self, failure: Failure) -> None:
        self.init_failure.set_result(failure)


class Runtime:
    """A client that sends what it is told, byte by byte if need be."""

    def __init__(self, host: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.host, self.reader, self.writer = host, reader, writer

    async def send(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)
        await self.writer.drain()

    async def request(self, method: str, path: str, body: bytes = b"", headers: str = "") -> None:
        head = f"{method} {_PREFIX}{path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        await self.send(head.encode() + body)

    async def begin_stream(self, request_id: str = "id-1") -> None:
        mode = "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
        await self.send(f"POST {_PREFIX}/invocation/{request_id}/response HTTP/1.1\r\nHost: x\r\n{mode}\r\n")

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(status.split(" ")[1]), headers, body


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    host = Host()
    server = await asyncio.get_running_loop().create_server(lambda: RuntimeConnection(host), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    yield Runtime(host, reader, writer)
    writer.close()
    await writer.wait_closed()
    server.close()


async def test_a_poll_waits_for_its_invocation(runtime: Runtime) -> None:
    await runtime.request("GET", "/invocation/next")
    connection = await runtime.host.polls.get()
    connection.deliver(runtime.host.invocation, 1234)
    status, headers, body = await runtime.response()
    assert (status, body) == (200, b'{"x": 1}')
    assert headers["lambda-runtime-aws-request-id"] == "id-1"
    assert headers["lambda-runtime-deadline-ms"] == "1234"
    assert headers["lambda-runtime-invoked-function-arn"] == "arn:f"
    assert headers["lambda-runtime-trace-id"] == "Root=1"


async def test_one_connection_polls_and_answers_in_turn(runtime: Runtime) -> None:
    for _ in range(2):
        runtime.host.invocation = Invocation("id-1", b"{}", "arn:f")
        await runtime.request("GET", "/invocation/next")
        (await runtime.host.polls.get()).deliver(runtime.host.invocation, 1)
        await runtime.response()
        await runtime.request("POST", "/invocation/id-1/response", b"[1]")
        assert (await runtime.response())[0] == 202
        assert await runtime.host.invocation.reply.read() == b"[1]"


async def test_a_chunk_is_passed_on_before_the_next_is_written(runtime: Runtime) -> None:
    chunks = runtime.host.invocation.reply.chunks()
    await runtime.begin_stream()
    for data in (b"one", b"two"):
        await runtime.chunk(data)
        assert await anext(chunks) == data
    await runtime.send("0\r\n\r\n")
    assert (await runtime.response())[0] == 202
    assert [chunk async for chunk in chunks] == []
    assert runtime.host.invocation.reply.streamed


async def test_a_stream_may_come_in_single_bytes(runtime: Runtime) -> None:
    await runtime.begin_stream()
    for byte in b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n":
        await runtime.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await runtime.host.invocation.reply.read() == b"abcde"


async def test_an_error_after_the_first_byte_comes_in_the_trailers(runtime: Runtime) -> None:
    body = base64.b64encode(json.dumps({"errorMessage": "late"}).encode()).decode()
    await runtime.begin_stream()
    await runtime.chunk(b"some")
    trailers = f"Lambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: {body}\r\n"
    await runtime.send(f"0\r\n{trailers}\r\n")
    chunks = runtime.host.invocation.reply.chunks()
    assert await anext(chunks) == b"some"
    with pytest.raises(InvocationFailed) as failed:
        await anext(chunks)
    assert failed.value.failure.payload == {"errorType": "Late", "errorMessage": "late"}


@pytest.mark.parametrize("body", ["", "not base64!", "bm90IGpzb24="])
async def test_a_damaged_trailer_is_an_error_all_the_same(runtime: Runtime, body: str) -> None:
    await runtime.begin_stream()
    trailers = f"Lambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: {body}\r\n"
    await runtime.send(f"0\r\n{trailers}\r\n")
    with pytest.raises(InvocationFailed) as failed:
        await runtime.host.invocation.reply.read()
    assert failed.value.failure.payload["errorType"] == "Late"


async def test_a_connection_that_ends_within_its_response_truncates_it(runtime: Runtime) -> None:
    await runtime.begin_stream()
    await runtime.chunk(b"some")
    runtime.writer.close()
    with pytest.raises(InvocationFailed) as failed:
        await runtime.host.invocation.reply.read()
    assert failed.value.failure.payload["errorType"] == "Runtime.TruncatedResponse"


async def test_an_error_is_passed_on_as_reported(runtime: Runtime) -> None:
    await runtime.request("POST", "/invocation/id-1/error", b'{"errorType": "Own", "errorMessage": "m"}')
    assert (await runtime.response())[0] == 202
    with pytest.raises(InvocationFailed) as failed:
        await runtime.host.invocation.reply.read()
    assert failed.value.failure.payload == {"errorType": "Own", "errorMessage": "m"}


async def test_an_init_error_is_passed_on(runtime: Runtime) -> None:
    await runtime.request("POST", "/init/error", b"not json")
    assert (await runtime.response())[0] == 202
    assert (await runtime.host.init_failure).payload == "not json"


@pytest.mark.parametrize("kind", ["response", "error"])
async def test_another_request_id_is_refused(runtime: Runtime, kind: str) -> None:
    await runtime.request("POST", f"/invocation/other/{kind}", b"{}")
    status, _headers, body = await runtime.response()
    assert (status, json.loads(body)["errorType"]) == (400, "InvalidRequestID")
    assert not runtime.host.invocation.reply.finished


async def test_an_unknown_path_is_404(runtime: Runtime) -> None:
    await runtime.request("GET", "/restore/next")
    assert (await runtime.response())[0] == 404


async def test_a_buffered_response_over_the_limit_is_a_failure(runtime: Runtime) -> None:
    reading = asyncio.create_task(runtime.host.invocation.reply.read())
    await runtime.request("POST", "/invocation/id-1/response", b"x" * 6_291_557)
    with pytest.raises(InvocationFailed) as failed:
        await reading
    assert failed.value.failure.payload["errorType"] == "Function.ResponseSizeTooLarge"


async def test_a_slow_reader_holds_the_function_back(runtime: Runtime) -> None:
    total_bytes = 64 * BUFFERED_BYTES  # far more than the sockets hold by themselves
    await runtime.begin_stream()
    writing = asyncio.create_task(runtime.chunk(b"x" * total_bytes))
    done, _ = await asyncio.wait([writing], timeout=0.3)
    assert not done
    reading = asyncio.create_task(runtime.host.invocation.reply.read())
    await writing
    await runtime.send("0\r\n\r\n")
    assert len(await reading) == total_bytes


async def test_a_reader_that_leaves_does_not_hold_the_function_back(runtime: Runtime) -> None:
    await runtime.begin_stream()
    writing = asyncio.create_task(runtime.chunk(b"x" * 64 * BUFFERED_BYTES))
    done, _ = await asyncio.wait([writing], timeout=0.3)
    assert not done
    runtime.host.invocation.reply.discard()
    await writing
    await runtime.send("0\r\n\r\n")
    assert (await runtime.response())[0] == 202


async def test_garbage_closes_the_connection(runtime: Runtime) -> None:
    await runtime.send("garbage\r\n\r\n")
    assert await runtime.reader.read() == b""
    await runtime.host.gone.wait()
