"""Chats in the background whose request ends before they do, in memory: asked once, and what is made is found."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest
from gateway.model.job import Job
from tests.asgi import Answer
from tests.unit.test_background import CHAT, WORKING, Gateway, gateway_of_background

KEYED = {"idempotency-key": "k-1"}
SHORT = {**CHAT, "timeouts": {"total_ms": 6_000}}


@pytest.fixture
def gateway() -> Gateway:
    return gateway_of_background()


async def _not_handed_over(gateway: Gateway) -> Answer:
    """What is answered when the time is up and the job cannot be shown."""
    gateway.remote.looks = [WORKING]
    change = gateway.world.jobs.change

    async def silent(job: Job, due_at_s: int | None = None) -> bool:
        if job.alive_until_s == 0 and gateway.clock.slept == [2.0, 3.0]:
            raise StorageUnavailable("Jobs cannot be stored at the moment.")
        return await change(job, due_at_s)

    gateway.world.jobs.change = silent  # type: ignore[method-assign]
    answer = await gateway.post(headers=KEYED, **SHORT)
    gateway.world.jobs.change = change  # type: ignore[method-assign]
    return answer


async def _failing(gateway: Gateway) -> Answer:
    """What is answered when a look has a defect."""

    async def fails(request: HttpRequest) -> None:
        if request.method == "GET":
            gateway.remote.before = None
            raise KeyError("a prompt")

    gateway.remote.before = fails
    return await gateway.post(headers=KEYED, **CHAT)


async def _cut_off(gateway: Gateway) -> None:
    """As by its function's own deadline."""

    async def ends(request: HttpRequest) -> None:
        if request.method == "GET":
            gateway.remote.before = None
            raise asyncio.CancelledError

    gateway.remote.before = ends
    with pytest.raises(asyncio.CancelledError):
        await gateway.post(headers=KEYED, **CHAT)


@pytest.mark.parametrize("left", [_not_handed_over, _failing, _cut_off])
async def test_what_goes_on_is_not_asked_for_again(gateway: Gateway, left: Any) -> None:
    answer = await left(gateway)
    assert not gateway.only.has_ended
    if answer is not None:
        assert answer.status in (500, 503)
        assert (answer.json["error"]["retryable"], answer.headers["x-should-retry"]) == (False, "false")
        assert gateway.only.id in answer.json["error"]["message"]
    await gateway.post(headers=KEYED, **(SHORT if left is _not_handed_over else CHAT))
    assert gateway.remote.asked("POST") == 1
