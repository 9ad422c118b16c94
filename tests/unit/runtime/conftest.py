from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from gateway.entry.runtime import snapshot
from gateway.entry.runtime.__main__ import Settings, run
from gateway.entry.runtime.handler import AsgiApp, EventHandler
from tests.unit.runtime.fake_runtime_api import FakeRuntimeApi

Start = Callable[..., "asyncio.Task[int]"]
Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
async def api() -> AsyncIterator[FakeRuntimeApi]:
    async with FakeRuntimeApi() as running:
        yield running


@pytest.fixture
async def start(api: FakeRuntimeApi) -> AsyncIterator[Start]:
    """Starts the runtime against `api`; the task's result is the exit code."""
    started: list[asyncio.Task[int]] = []

    def starter(handler: AsgiApp | EventHandler, pollers: int = 1, *, snap_start: bool = False) -> asyncio.Task[int]:
        settings = Settings(api.authority, "app.app", pollers, snap_start)
        started.append(asyncio.create_task(run(settings, handler)))
        return started[-1]

    yield starter
    for task in started:
        task.cancel()
    await asyncio.gather(*started, return_exceptions=True)


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Logged:
    """The runtime's log lines since the last call."""

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return lines


@pytest.fixture(autouse=True)
def own_process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the runtime does to its process must not outlive a test."""
    monkeypatch.setattr(snapshot, "_before", [])
    monkeypatch.setattr(snapshot, "_after", [])
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    yield
    gc.unfreeze()
