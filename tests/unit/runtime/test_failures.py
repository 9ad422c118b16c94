from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from gateway.entry.runtime.__main__ import Settings, run
from gateway.entry.runtime.handler import Receive, Send
from tests.unit.runtime.apps import Scope, begin, body, echo, http_only
from tests.unit.runtime.conftest import Logged, Start
from tests.unit.runtime.fake_runtime_api import Delivery, FakeRuntimeApi, http_event

PROMPT = "the prompt, in an exception's message"


def everything(delivery: Delivery, lines: list[dict[str, Any]]) -> str:
    return f"{delivery.raw!r} {delivery.trailers} {delivery.error} {lines}"


async def test_failure_before_the_answer_is_a_500_in_our_envelope(
    api: FakeRuntimeApi, start: Start, logged: Logged
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await asyncio.sleep(0)
        raise ValueError(PROMPT)

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    lines = logged()
    error = answer.result_body["error"]
    assert answer.prelude["statusCode"] == 500
    assert answer.prelude["headers"]["content-type"] == "application/json"
    assert (error["code"], error["request_id"], error["retryable"]) == ("internal_error", "request-1", True)
    assert answer.trailers == {}
    assert lines[-1]["event"] == "application_failed"
    assert lines[-1]["phase"] == "before_answer"
    assert lines[-1]["error"]["type"] == "ValueError"
    assert "test_failures.py" in lines[-1]["error"]["places"][-1]
    assert PROMPT not in everything(answer, lines)


async def test_start_that_has_not_left_yet_is_replaced_by_the_500(api: FakeRuntimeApi, start: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send, 200)
        await body(send, b"half")
        raise ValueError(PROMPT)

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    assert answer.prelude["statusCode"] == 500
    assert b"half" not in answer.body


async def test_failure_in_the_answer_ends_it_with_trailers(api: FakeRuntimeApi, start: Start, logged: Logged) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        await body(send, b"half")
        await asyncio.sleep(0)
        try:
            int(PROMPT)
        except ValueError as error:
            raise LookupError(PROMPT) from error

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    lines = logged()
    assert (answer.prelude["statusCode"], answer.body) == (200, b"half")
    assert answer.trailers["lambda-runtime-function-error-type"] == "Function.LookupError"
    assert answer.trailer_error["errorType"] == "LookupError"
    assert lines[-1]["phase"] == "in_answer"
    assert lines[-1]["error"]["causes"][0]["type"] == "ValueError"
    assert PROMPT not in everything(answer, lines) + str(answer.trailer_error)


async def test_group_is_logged_with_its_members(api: FakeRuntimeApi, start: Start, logged: Logged) -> None:
    async def fails() -> None:
        raise ValueError(PROMPT)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    lines = logged()
    assert answer.prelude["statusCode"] == 500
    assert [cause["type"] for cause in lines[-1]["error"]["causes"]] == ["ValueError"]
    assert PROMPT not in everything(answer, lines)


async def test_app_that_returns_without_an_answer(api: FakeRuntimeApi, start: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    assert answer.prelude["statusCode"] == 500


async def test_app_that_returns_within_its_answer(api: FakeRuntimeApi, start: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        await asyncio.sleep(0)

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    assert answer.trailer_error["errorType"] == "IncompleteResponse"


@pytest.mark.parametrize("twice", ["http.response.start", "http.response.body", "http.response.unheard"])
async def test_message_out_of_order_is_the_apps_failure(
    api: FakeRuntimeApi, start: Start, logged: Logged, twice: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        if twice == "http.response.start":
            await begin(send)
        await send({"type": twice, "status": 200, "headers": [], "body": b""})

    start(app)
    answer = await api.answered(api.deliver(http_event()))
    assert answer.prelude["statusCode"] == 500
    assert logged()[-1]["error"]["type"] == "RuntimeError"


async def test_broken_connection_never_stops_the_app(api: FakeRuntimeApi, start: Start, logged: Logged) -> None:
    go_on = asyncio.Event()
    settled = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        if scope["path"] == "/v1/echo":
            await echo(scope, receive, send)
            return
        await begin(send)
        await body(send, b"first")
        await go_on.wait()
        for _ in range(200):
            await body(send, b"x" * 100_000)
            await asyncio.sleep(0)
        await body(send, b"", more=False)
        settled.set()

    start(app)
    delivery = api.deliver(http_event("/v1/stream"), break_after_bytes=1)
    await api.answered(delivery)
    go_on.set()
    after = await api.answered(api.deliver(http_event()))
    assert settled.is_set()
    assert after.prelude["statusCode"] == 200
    lost = [line for line in logged() if line["event"] == "response_not_taken"]
    assert [(line["request_id"], line["status"]) for line in lost] == [("request-1", None)]


async def test_response_that_nobody_takes_is_reported(api: FakeRuntimeApi, start: Start, logged: Logged) -> None:
    """410 is what Lambda answers when the invocation was given up and delivered again."""
    start(echo)
    await api.answered(api.deliver(http_event(), reply_status=410))
    answer = await api.answered(api.deliver(http_event()))
    assert answer.prelude["statusCode"] == 200
    lines = [line for line in logged() if line["event"] == "response_not_taken"]
    assert [(line["request_id"], line["status"]) for line in lines] == [("request-1", 410)]


@pytest.mark.parametrize("event", [{"detail-type": "Scheduled Event"}, ["a list"], http_event(httpMethod="")])
async def test_app_is_not_called_for_another_event(api: FakeRuntimeApi, start: Start, event: Any) -> None:
    start(echo)
    delivery = await api.answered(api.deliver(event))
    assert delivery.error["errorType"] == "NotHttp"
    assert api.error_types == ["Function.NotHttp"]
    assert (await api.answered(api.deliver(http_event()))).prelude["statusCode"] == 200


async def test_body_that_is_not_the_base64_it_claims(api: FakeRuntimeApi, start: Start) -> None:
    start(echo)
    delivery = await api.answered(api.deliver(http_event(body="***", isBase64Encoded=True)))
    assert delivery.error["errorType"] == "Error"


async def test_app_that_never_answers_is_cut_half_a_second_before_the_deadline(
    api: FakeRuntimeApi, start: Start, logged: Logged
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        if scope["path"] == "/v1/echo":
            await echo(scope, receive, send)
        await asyncio.get_running_loop().create_future()

    start(app)
    began = time.perf_counter()
    answer = await api.answered(api.deliver(http_event("/v1/hang"), timeout_s=0.7))
    took_s = time.perf_counter() - began
    assert answer.prelude["statusCode"] == 500
    assert 0.15 < took_s < 0.5
    line = logged()[-1]
    assert (line["phase"], line["error"]["type"]) == ("before_answer", "DeadlineExceeded")
    assert "test_failures.py" in line["error"]["causes"][0]["places"][-1]  # where it hung

    after = await api.answered(api.deliver(http_event(), timeout_s=0.7))  # answers, but never settles
    assert after.prelude["statusCode"] == 200
    await api.until(lambda: api.waiting == 1)
    assert logged()[-1]["phase"] == "after_answer"


async def test_app_that_is_cut_within_its_answer(api: FakeRuntimeApi, start: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        await asyncio.get_running_loop().create_future()

    start(app)
    answer = await api.answered(api.deliver(http_event(), timeout_s=0.6))
    assert answer.trailer_error["errorType"] == "DeadlineExceeded"


async def test_app_that_refuses_to_be_cut_is_left_behind(api: FakeRuntimeApi, start: Start) -> None:
    stop = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        if scope["path"] == "/v1/echo":
            await echo(scope, receive, send)
            return
        while not stop.is_set():
            try:
                await stop.wait()
            except asyncio.CancelledError:
                continue

    start(app)
    try:
        answer = await api.answered(api.deliver(http_event("/v1/hang"), timeout_s=0.6))
        assert answer.prelude["statusCode"] == 500
        assert (await api.answered(api.deliver(http_event()))).prelude["statusCode"] == 200
    finally:
        stop.set()


async def test_reader_that_never_reads_does_not_hold_the_poller_for_ever(
    api: FakeRuntimeApi, start: Start, logged: Logged
) -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        await begin(send)
        for _ in range(64):
            await body(send, b"x" * 1_000_000)

    start(app)
    delivery = api.deliver(http_event(), timeout_s=0.7, read_gate=gate)
    await api.until(lambda: api.waiting == 1)
    failed, lost = logged()[-2:]
    assert (failed["event"], failed["error"]["type"]) == ("application_failed", "DeadlineExceeded")
    assert (lost["event"], lost["status"]) == ("response_not_taken", None)
    assert not delivery.ended
    gate.set()


async def test_stray_task_failure_is_logged_without_its_message(
    api: FakeRuntimeApi, start: Start, logged: Logged
) -> None:
    async def fails() -> None:
        raise ValueError(PROMPT)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task  # nobody ever asks for its result
        await echo(scope, receive, send)

    start(app)
    await api.answered(api.deliver(http_event()))
    line = logged()[-1]
    assert (line["event"], line["error"]["type"]) == ("stray_failure", "ValueError")
    assert PROMPT not in str(line)


async def test_runtime_ends_when_the_runtime_api_is_gone(logged: Logged) -> None:
    async with FakeRuntimeApi() as api:
        running = asyncio.create_task(run(Settings(api.authority, "app.app", 2, False), echo))
        await api.until(lambda: api.waiting == 2)
    assert await running == 1
    assert [line["event"] for line in logged()].count("poller_ended") == 2
