from __future__ import annotations

import asyncio
import contextvars
import os
from pathlib import Path

from gateway.entry.runtime.handler import Receive, Send
from tests.unit.runtime.apps import Scope, begin, body, echo, http_only
from tests.unit.runtime.conftest import Start
from tests.unit.runtime.fake_runtime_api import FakeRuntimeApi, http_event

TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_32_pollers_serve_32_events_at_once_and_no_more(api: FakeRuntimeApi, start: Start) -> None:
    release = asyncio.Event()
    inside = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal inside
        http_only(scope)
        inside += 1
        await begin(send)
        await body(send, (await receive())["body"])
        await release.wait()
        await body(send, b"!", more=False)

    start(app, 32)
    await api.until(lambda: api.waiting == 32)
    deliveries = [api.deliver(http_event(body=f"event {number}")) for number in range(100)]
    await api.until(lambda: all(delivery.chunks for delivery in deliveries[:32]))
    assert (inside, api.in_flight, api.waiting) == (32, 32, 0)
    release.set()
    await api.until(lambda: all(delivery.ended for delivery in deliveries))
    assert api.max_in_flight == 32
    assert [delivery.body.decode() for delivery in deliveries] == [f"event {number}!" for number in range(100)]
    assert "_X_AMZN_TRACE_ID" not in os.environ


async def test_one_slow_event_holds_nobody_up(api: FakeRuntimeApi, start: Start) -> None:
    release = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        if scope["path"] == "/v1/slow":
            await release.wait()
        await echo(scope, receive, send)

    start(app, 2)
    slow = api.deliver(http_event("/v1/slow"))
    for _ in range(20):
        await api.answered(api.deliver(http_event()))
    assert not slow.ended
    release.set()
    await api.answered(slow)


async def test_context_of_one_event_is_not_seen_by_the_next(api: FakeRuntimeApi, start: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        before = TENANT.get()
        TENANT.set((await receive())["body"].decode())
        await begin(send)
        await body(send, before.encode(), more=False)

    start(app)
    deliveries = [api.deliver(http_event(body=f"tenant {number}")) for number in range(3)]
    await api.until(lambda: all(delivery.ended for delivery in deliveries))
    assert [delivery.body for delivery in deliveries] == [b"nobody"] * 3


async def test_trace_header_is_in_the_environment_of_a_sole_poller(api: FakeRuntimeApi, start: Start) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        http_only(scope)
        seen.append(os.environ["_X_AMZN_TRACE_ID"])
        await echo(scope, receive, send)

    start(app)
    await api.answered(api.deliver(http_event()))
    assert seen == ["Root=1-2-3"]


async def test_500_events_leave_no_task_and_no_file_behind(api: FakeRuntimeApi, start: Start) -> None:
    start(echo)

    async def serve(count: int) -> None:
        for _ in range(count):
            await api.answered(api.deliver(http_event(body="x" * 500)))
        await api.until(lambda: api.waiting == 1)
        await asyncio.sleep(0)

    await serve(5)
    tasks, files = len(asyncio.all_tasks()), open_files()
    await serve(500)
    assert (len(asyncio.all_tasks()), open_files()) == (tasks, files)
