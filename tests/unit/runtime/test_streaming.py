from __future__ import annotations

import asyncio
import json

import pytest

from gateway.entry.runtime import stream
from gateway.entry.runtime.handler import Receive, Send
from tests.unit.runtime.apps import Scope, begin, body, echo, http_only
from tests.unit.runtime.conftest import Logged, Start
from tests.unit.runtime.fake_runtime_api import FakeRuntimeApi, http_event


async def test_buffered_reply_is_one_streamed_chunk(api: FakeRuntimeApi, start: Start) -> None:
    start(echo)
    answer = await api.answered(api.deliver(http_event(body="hello"), attempt_id="attempt-7"))

    assert answer.prelude["statusCode"] == 200
    assert answer.prelude["headers"]["content-type"] == "application/json"
    assert json.loads(answer.body) == {"path": "/v1/echo", "body": "hello"}
    assert len(answer.chunks) == 1
    assert answer.trailers == {}
    assert answer.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert answer.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert "Lambda-Runtime-Function-Error-Body" in answer.headers["trailer"]
    assert answer.headers["lambda-runtime-invocation-id"] == "attempt-7"


async def test_without_attempt_id_none_is_echoed(api: FakeRuntimeApi, start: Start) -> None:
    start(echo)
    answer = await api.answered(api.deliver(http_event()))
    assert "lambda-runtime-invocation-id" not in answer.headers


async def test_each_part_arrives_while_the_app_waits(api: FakeRuntimeApi, start: Start) -> None:
    steps = [asyncio.Event() for _ in range(3)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        await steps[0].wait()
        await body(send, b"data: 1\n\n")
        await steps[1].wait()
        await body(send, b"data: 2\n\n")
        await steps[2].wait()
        await body(send, b"", more=False)

    start(app)
    delivery = api.deliver(http_event())
    await api.until(lambda: len(delivery.chunks) == 1)
    assert delivery.raw.endswith(b"\0" * 8)  # the prelude did not wait for a body
    steps[0].set()
    await api.until(lambda: delivery.body == b"data: 1\n\n")
    steps[1].set()
    await api.until(lambda: delivery.body == b"data: 1\n\ndata: 2\n\n")
    assert not delivery.ended
    steps[2].set()
    await api.answered(delivery)
    assert len(delivery.chunks) == 3


async def test_writes_of_one_tick_leave_together(api: FakeRuntimeApi, start: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        for number in range(5):
            await body(send, b"%d" % number)
        await asyncio.sleep(0)
        await body(send, b"5")
        await body(send, b"6", more=False)

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    assert answer.body == b"0123456"
    assert [len(chunk) for chunk in answer.chunks[1:]] == [2]


async def test_repeated_headers_and_cookies(api: FakeRuntimeApi, start: Start) -> None:
    headers = [
        (b"X-One", b"1"),
        (b"vary", b"accept"),
        (b"Vary", b"origin"),
        (b"vary", b"cookie"),
        (b"set-cookie", b"a=1; Path=/"),
        (b"Set-Cookie", b"b=2"),
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send, 204, headers)
        await body(send, b"", more=False)

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    assert answer.prelude == {
        "statusCode": 204,
        "headers": {"x-one": "1"},
        "multiValueHeaders": {"vary": ["accept", "origin", "cookie"]},
        "cookies": ["a=1; Path=/", "b=2"],
    }
    assert answer.body == b""


@pytest.mark.parametrize("options", [{"chunked": True}, {"torn": True}, {"chunked": True, "torn": True}])
async def test_event_in_chunks_and_small_segments(api: FakeRuntimeApi, start: Start, options: dict[str, bool]) -> None:
    start(echo)
    text = "x" * 5_000
    answer = await api.answered(api.deliver(http_event(body=text), **options))
    assert json.loads(answer.body)["body"] == text
    again = await api.answered(api.deliver(http_event(body="next"), **options))
    assert json.loads(again.body)["body"] == "next"


async def test_six_megabytes_both_ways(api: FakeRuntimeApi, start: Start) -> None:
    start(echo)
    text = "y" * 6_000_000
    answer = await api.answered(api.deliver(http_event(body=text)))
    assert json.loads(answer.body)["body"] == text


async def test_response_has_its_own_connection_that_closes(api: FakeRuntimeApi, start: Start) -> None:
    start(echo)
    first, second = api.deliver(http_event()), api.deliver(http_event())
    await api.until(lambda: first.closed and second.closed)
    assert (first.connection, second.connection) == (2, 3)
    await api.until(lambda: api.waiting == 1)
    assert api.connections == 3  # all polls share the first


async def test_idle_connection_that_the_server_closed_is_opened_again(
    api: FakeRuntimeApi, start: Start, logged: Logged
) -> None:
    start(echo)
    await api.answered(api.deliver(http_event()))
    await api.until(lambda: api.waiting == 1)
    api.drop_next = 1
    await api.answered(api.deliver(http_event()))
    await api.answered(api.deliver(http_event()))
    assert [line["event"] for line in logged()] == ["lifespan_ended"]


async def test_app_waits_for_a_slow_reader(api: FakeRuntimeApi, start: Start) -> None:
    """Loopback sockets hold some megabytes; beyond them the app stands still until the reader goes on."""
    piece, pieces = b"z" * 1_000_000, 64
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        http_only(scope)
        await begin(send)
        for _ in range(pieces):
            await body(send, piece)
            sent += 1
        await body(send, b"", more=False)

    start(app)
    gate = asyncio.Event()
    delivery = api.deliver(http_event(), read_gate=gate)
    await api.until(lambda: f"POST /invocation/{delivery.request_id}/response" in api.calls)
    for _ in range(500):
        await asyncio.sleep(0)
    stopped_at = sent
    assert stopped_at < pieces / 2
    gate.set()
    await api.answered(delivery)
    assert sent == pieces
    assert len(delivery.body) == pieces * len(piece)


async def test_an_app_is_not_held_up_by_a_reader_that_stalls(
    api: FakeRuntimeApi, start: Start, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time in which API Gateway gives it up; what the app has to do goes on."""
    monkeypatch.setattr(stream, "STALL_S", 0.05)
    settled = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        for _ in range(64):
            await body(send, b"z" * 1_000_000)
        await body(send, b"", more=False)
        settled.set()

    start(app)
    delivery = api.deliver(http_event(), read_gate=asyncio.Event())
    await asyncio.wait_for(settled.wait(), 5)
    await api.until(lambda: api.waiting == 1)
    (line,) = (line for line in logged() if line["event"] == "response_not_taken")
    assert (line["request_id"], line["status"]) == (delivery.request_id, None)


async def test_nor_by_one_that_stalls_at_the_end(
    api: FakeRuntimeApi, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STALL_S", 0.05)
    start(echo)
    api.deliver(http_event(), reply_gate=asyncio.Event())
    await api.until(lambda: api.waiting == 1 and len(api.calls) > 2)


async def test_a_slow_reader_that_goes_on_is_waited_for(
    api: FakeRuntimeApi, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STALL_S", 0.5)
    gate, pieces = asyncio.Event(), 24

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        for _ in range(pieces):
            await body(send, b"z" * 1_000_000)
        await body(send, b"", more=False)

    start(app)
    delivery = api.deliver(http_event(), read_gate=gate)
    await api.until(lambda: f"POST /invocation/{delivery.request_id}/response" in api.calls)
    asyncio.get_running_loop().call_later(0.3, gate.set)
    await api.answered(delivery)
    assert len(delivery.body) == pieces * 1_000_000
