from __future__ import annotations

import asyncio
from typing import Any

from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.handler import EventHandler
from tests.unit.runtime.conftest import Logged, Start
from tests.unit.runtime.fake_runtime_api import FakeRuntimeApi


class JobExpired(Exception):
    pass


async def test_result_is_posted_whole_on_the_pollers_connection(api: FakeRuntimeApi, start: Start) -> None:
    @EventHandler
    async def handler(event: Any, invocation: Invocation) -> dict[str, Any]:
        return {"job": event["job"], "request": invocation.request_id, "title": "grüße"}

    start(handler)
    first, second = api.deliver({"job": 1}, attempt_id="a1"), api.deliver({"job": 2})
    await api.until(lambda: first.ended and second.ended)
    assert first.result == {"job": 1, "request": "request-1", "title": "grüße"}
    assert second.result["job"] == 2
    assert first.headers["content-type"] == "application/json"
    assert first.headers["lambda-runtime-invocation-id"] == "a1"
    assert "lambda-runtime-function-response-mode" not in first.headers
    assert api.connections == 1


async def test_error_is_named_after_its_class(api: FakeRuntimeApi, start: Start, logged: Logged) -> None:
    @EventHandler
    async def handler(event: Any, invocation: Invocation) -> None:
        raise JobExpired("a prompt")

    start(handler)
    delivery = await api.answered(api.deliver({}))
    await api.until(lambda: api.waiting == 1)
    assert delivery.error["errorType"] == "JobExpired"
    assert "test_event_handler.py" in delivery.error["stackTrace"][-1]
    assert api.error_types == ["Function.JobExpired"]
    line = logged()[-1]
    assert (line["event"], line["error"]["type"]) == ("application_failed", "JobExpired")
    assert "a prompt" not in f"{line} {delivery.error}"


async def test_result_that_json_cannot_hold(api: FakeRuntimeApi, start: Start) -> None:
    @EventHandler
    async def handler(event: Any, invocation: Invocation) -> object:
        return object()

    start(handler)
    assert (await api.answered(api.deliver({}))).error["errorType"] == "TypeError"


async def test_handler_that_never_ends_is_cut(api: FakeRuntimeApi, start: Start) -> None:
    @EventHandler
    async def handler(event: Any, invocation: Invocation) -> None:
        await asyncio.get_running_loop().create_future()

    start(handler)
    delivery = await api.answered(api.deliver({}, timeout_s=0.6))
    assert delivery.error["errorType"] == "DeadlineExceeded"


async def test_result_that_nobody_takes_is_reported(api: FakeRuntimeApi, start: Start, logged: Logged) -> None:
    @EventHandler
    async def handler(event: Any, invocation: Invocation) -> int:
        return 1

    start(handler)
    await api.answered(api.deliver({}, reply_status=413))
    await api.until(lambda: api.waiting == 1)
    line = logged()[-1]
    assert (line["event"], line["status"]) == ("response_not_taken", 413)
