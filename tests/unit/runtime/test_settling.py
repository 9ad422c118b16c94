from __future__ import annotations

import asyncio

from gateway.entry.runtime.handler import Message, Receive, Send
from tests.unit.runtime.apps import Scope, begin, body, http_only
from tests.unit.runtime.conftest import Logged, Start
from tests.unit.runtime.fake_runtime_api import FakeRuntimeApi, http_event


async def test_answer_ends_before_settling_and_next_event_waits_for_it(api: FakeRuntimeApi, start: Start) -> None:
    release = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        await body(send, b"all", more=False)
        await release.wait()
        api.calls.append("settled")

    start(app)
    delivery = api.deliver(http_event())
    await api.until(lambda: delivery.closed)  # the whole answer, taken, connection closed: and the app still runs
    assert api.waiting == 0
    assert api.calls.count("GET /invocation/next") == 1
    release.set()
    await api.until(lambda: api.waiting == 1)
    assert api.calls == [
        "GET /invocation/next",
        "POST /invocation/request-1/response",
        "END request-1",
        "settled",
        "GET /invocation/next",
    ]


async def test_next_event_waits_until_the_answer_was_taken(api: FakeRuntimeApi, start: Start) -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        await body(send, b"all", more=False)

    start(app)
    delivery = api.deliver(http_event(), reply_gate=gate)
    await api.answered(delivery)
    for _ in range(50):
        await asyncio.sleep(0)
    assert api.waiting == 0
    gate.set()
    await api.until(lambda: api.waiting == 1)


async def test_receive_tells_of_the_end_of_the_answer_only(api: FakeRuntimeApi, start: Start) -> None:
    received: list[Message] = []
    finish = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        received.append(await receive())
        listening = asyncio.ensure_future(receive())
        await begin(send)
        await finish.wait()
        assert not listening.done()
        await body(send, b"all", more=False)
        received.append(await listening)

    start(app)
    delivery = api.deliver(http_event(body="question"))
    await api.until(lambda: bool(delivery.chunks))
    finish.set()
    await api.until(lambda: api.waiting == 1)
    assert received == [
        {"type": "http.request", "body": b"question", "more_body": False},
        {"type": "http.disconnect"},
    ]


async def test_failure_while_settling_is_logged_and_leaves_the_answer_whole(
    api: FakeRuntimeApi, start: Start, logged: Logged
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        await body(send, b"all", more=False)
        raise LookupError("a prompt")

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    await api.until(lambda: api.waiting == 1)
    assert (answer.body, answer.trailers) == (b"all", {})
    line = logged()[-1]
    assert (line["event"], line["phase"]) == ("application_failed", "after_answer")
    assert line["error"]["type"] == "LookupError"
    assert "a prompt" not in str(line)
