"""A Lambda Runtime API on a real loopback socket, scripted by the test.

It speaks what the real one does: long poll, events in chunks, streamed responses with trailers, SnapStart. Everything
that happens is written to `calls`, and a test waits for it with `until`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

_ROOT = "/2018-06-01/runtime"


def http_event(path: str = "/v1/echo", body: Any = "", **fields: Any) -> dict[str, Any]:
    """An API Gateway REST event; `fields` replace its members."""
    return {
        "resource": path,
        "path": path,
        "httpMethod": "POST",
        "multiValueHeaders": {"Content-Type": ["application/json"], "Host": ["api.example"]},
        "multiValueQueryStringParameters": None,
        "requestContext": {
            "stage": "prod",
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "domainName": "api.example",
            "identity": {"sourceIp": "203.0.113.9"},
        },
        "body": body,
        "isBase64Encoded": False,
        **fields,
    }


@dataclass
class Delivery:
    """One event to hand out, and how the API is to treat its answer."""

    payload: bytes
    request_id: str
    timeout_s: float = 30.0
    chunked: bool = False  # as Go's server sends an event over 2 KB
    torn: bool = False  # the event arrives in many small segments
    attempt_id: str = ""
    break_after_bytes: int | None = None  # cut the connection once so much of the answer arrived
    read_gate: asyncio.Event | None = None  # read no answer before this is set
    reply_gate: asyncio.Event | None = None  # do not say 202 before this is set
    reply_status: int = 202
    # filled in while it runs
    delivered_at: float = 0.0
    first_byte_at: float = 0.0
    connection: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    result: Any = None
    error: Any = None
    ended: bool = False
    closed: bool = False  # the runtime closed the response connection

    @property
    def raw(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def prelude(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw.partition(b"\0" * 8)[0])
        return found

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\0" * 8)[2]

    @property
    def result_body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def trailer_error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(base64.b64decode(self.trailers["lambda-runtime-function-error-body"]))
        return found


class FakeRuntimeApi:
    """`async with FakeRuntimeApi() as api:` listens on `api.authority` until the block ends."""

    def __init__(self) -> None:
        self.authority = ""
        self.calls: list[str] = []
        self.connections = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.waiting = 0  # pollers in /next
        self.init_error: Any = None
        self.restore_error: Any = None
        self.error_types: list[str] = []
        self.restored = asyncio.Event()
        self.drop_next = 0  # close this many idle polls without an answer
        self._changed = asyncio.Condition()
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._running: dict[str, Delivery] = {}
        self._numbers = itertools.count(1)
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FakeRuntimeApi:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.authority = f"{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._handlers):
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    def deliver(self, event: Any, **options: Any) -> Delivery:
        """Queue an event for the next poller."""
        number = next(self._numbers)
        delivery = Delivery(json.dumps(event).encode(), f"request-{number}", **options)
        self._queue.put_nowait(delivery)
        return delivery

    async def until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait until `condition` holds; it is looked at after everything that happens here."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    async def answered(self, delivery: Delivery) -> Delivery:
        await self.until(lambda: delivery.ended)
        return delivery

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            await self._serve(reader, writer, self.connections)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._handlers.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            endpoint = path.removeprefix(_ROOT)
            self.calls.append(f"{method} {endpoint}")
            await self._note()
            if endpoint == "/invocation/next":
                if not await self._next(reader, writer):
                    return
            elif endpoint == "/restore/next":
                await self.restored.wait()
                await _reply(writer, 200)
            elif endpoint in ("/init/error", "/restore/error"):
                document = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.error_types.append(headers["lambda-runtime-function-error-type"])
                if endpoint == "/init/error":
                    self.init_error = document
                else:
                    self.restore_error = document
                await _reply(writer, 202)
                await self._note()
            else:
                await self._answer(reader, writer, endpoint, headers, connection)

    async def _next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if self.drop_next:
            self.drop_next -= 1
            return False
        self.waiting += 1
        await self._note()
        delivery = await self._queue.get()
        self.waiting -= 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self._running[delivery.request_id] = delivery
        head = [
            "HTTP/1.1 200 OK",
            f"Lambda-Runtime-Aws-Request-Id: {delivery.request_id}",
            f"Lambda-Runtime-Deadline-Ms: {int((time.time() + delivery.timeout_s) * 1000)}",
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:1:function:f",
            "Lambda-Runtime-Trace-Id: Root=1-2-3",
        ]
        if delivery.attempt_id:
            head.append(f"Lambda-Runtime-Invocation-Id: {delivery.attempt_id}")
        if delivery.chunked:
            head.append("Transfer-Encoding: chunked")
            pieces = [delivery.payload[at : at + 1000] for at in range(0, len(delivery.payload), 1000)]
            payload = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            head.append(f"Content-Length: {len(delivery.payload)}")
            payload = delivery.payload
        message = "\r\n".join(head).encode() + b"\r\n\r\n" + payload
        delivery.delivered_at = time.perf_counter()
        step = 7 if delivery.torn else len(message)
        for at in range(0, len(message), step):
            writer.write(message[at : at + step])
            await writer.drain()
            if delivery.torn:
                await asyncio.sleep(0)  # lets the client read this segment alone
        return True

    async def _answer(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        endpoint: str,
        headers: dict[str, str],
        connection: int,
    ) -> None:
        _, _, request_id, kind = endpoint.split("/")
        delivery = self._running[request_id]
        delivery.headers, delivery.connection = headers, connection
        if headers.get("transfer-encoding") == "chunked":
            if not await self._read_stream(reader, writer, delivery):
                await self._end(delivery)
                return
        else:
            document = json.loads(await reader.readexactly(int(headers["content-length"])))
            if kind == "error":
                delivery.error = document
                self.error_types.append(headers["lambda-runtime-function-error-type"])
            else:
                delivery.result = document
        await self._end(delivery)
        if delivery.reply_gate is not None:
            await delivery.reply_gate.wait()
        await _reply(writer, delivery.reply_status)
        if headers.get("transfer-encoding") == "chunked":
            delivery.closed = await reader.read(1) == b""
            await self._note()
            raise ConnectionError

    async def _end(self, delivery: Delivery) -> None:
        self.calls.append(f"END {delivery.request_id}")
        self.in_flight -= 1
        delivery.ended = True
        await self._note()

    async def _read_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delivery: Delivery
    ) -> bool:
        """False when the connection was cut on purpose."""
        if delivery.read_gate is not None:
            await delivery.read_gate.wait()
        while size := int(await reader.readline(), 16):
            chunk = await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
            delivery.first_byte_at = delivery.first_byte_at or time.perf_counter()
            delivery.chunks.append(chunk)
            await self._note()
            if delivery.break_after_bytes is not None and len(delivery.raw) >= delivery.break_after_bytes:
                writer.transport.abort()
                return False
        while line := (await reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            delivery.trailers[name.lower()] = value.strip()
        return True


async def _reply(writer: asyncio.StreamWriter, status: int) -> None:
    writer.write(f"HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n".encode())
    await writer.drain()
