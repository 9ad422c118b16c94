from __future__ import annotations

import random

import pytest

from gateway.entry.runtime.handler import Receive, Send
from gateway.entry.runtime.snapshot import after_restore, before_snapshot
from tests.unit.runtime.apps import Scope, echo
from tests.unit.runtime.conftest import Start
from tests.unit.runtime.fake_runtime_api import FakeRuntimeApi, http_event


def register(api: FakeRuntimeApi) -> None:
    async def later(name: str) -> None:
        api.calls.append(name)

    before_snapshot(lambda: api.calls.append("before 1"))
    before_snapshot(lambda: later("before 2"))
    after_restore(lambda: api.calls.append("after 1"))
    after_restore(lambda: later("after 2"))


async def test_order_of_hooks_snapshot_and_events(api: FakeRuntimeApi, start: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            api.calls.append("startup")
            await send({"type": "lifespan.startup.complete"})
            return
        await echo(scope, receive, send)

    register(api)
    start(app, snap_start=True)
    await api.until(lambda: "GET /restore/next" in api.calls)
    assert api.calls == ["startup", "before 2", "before 1", "GET /restore/next"]
    state = random.getstate()
    api.restored.set()
    await api.until(lambda: api.waiting == 1)
    assert api.calls[4:] == ["after 1", "after 2", "GET /invocation/next"]
    assert random.getstate() != state  # clones of one snapshot must not draw the same numbers
    assert api.connections == 2  # what was open in the snapshot is not used after it
    assert (await api.answered(api.deliver(http_event()))).prelude["statusCode"] == 200


async def test_without_snapstart_no_hook_runs(api: FakeRuntimeApi, start: Start) -> None:
    register(api)
    start(echo)
    await api.until(lambda: api.waiting == 1)
    assert api.calls == ["GET /invocation/next"]


async def test_failure_before_the_snapshot(api: FakeRuntimeApi, start: Start) -> None:
    @before_snapshot
    def fails() -> None:
        raise OSError("no warm-up")

    assert await start(echo, snap_start=True) == 64
    assert api.calls == ["POST /init/error"]
    assert api.error_types == ["Runtime.BeforeSnapshotError"]
    assert (api.init_error["errorType"], api.init_error["errorMessage"]) == ("OSError", "no warm-up")


async def test_failure_after_the_restore(api: FakeRuntimeApi, start: Start) -> None:
    @after_restore
    async def fails() -> None:
        raise OSError("no secrets")

    api.restored.set()
    assert await start(echo, snap_start=True) == 65
    assert api.calls == ["GET /restore/next", "POST /restore/error"]
    assert api.error_types == ["Runtime.AfterRestoreError"]
    assert (api.restore_error["errorType"], api.restore_error["errorMessage"]) == ("OSError", "no secrets")


@pytest.mark.parametrize("register_hook", [before_snapshot, after_restore])
def test_a_decorated_hook_stays_what_it_was(register_hook: object) -> None:
    def hook() -> None: ...

    assert callable(register_hook)
    assert register_hook(hook) is hook
