"""Chats in the background whose request ends before they do, in memory: asked once, and what is made is found."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest
from gateway.model.job import Job
from gateway.model.webhook import WebhookSettings
from gateway.pipeline.job_sweep import sweep_jobs
from tests.asgi import Answer
from tests.fakes import ListWebhookSender
from tests.unit.test_background import CHAT, DONE, WORKING, Gateway, gateway_of_background

KEYED = {"idempotency-key": "k-1"}
RECEIVER = "https://hooks.example.com/jobs"
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


async def test_a_webhook_is_told_of_no_job_that_was_never_shown(gateway: Gateway) -> None:
    gateway.allow(webhooks=WebhookSettings(url=RECEIVER))
    assert (await gateway.post(**CHAT)).status == 200
    gateway.remote.begins = (400, {"error": {"message": "Not so.", "code": "invalid_value", "param": "input"}})
    assert (await gateway.post(**CHAT)).status == 400
    assert await _told(gateway) == []


async def test_a_webhook_is_told_of_one_that_was_handed_over(gateway: Gateway) -> None:
    gateway.allow(webhooks=WebhookSettings(url=RECEIVER))
    job_id = await gateway.handed_over()
    gateway.remote.looks = [DONE]
    await gateway.finished(job_id)
    [(url, said)] = await _told(gateway)
    assert (url, said["type"], said["data"]["id"]) == (RECEIVER, "job.completed", job_id)


async def _told(gateway: Gateway) -> list[tuple[str, Any]]:
    """Of all ends, once everybody was told whom a sweep tells."""
    gateway.world.executions.started.clear()  # type: ignore[attr-defined]
    gateway.clock.unix_s += 130
    await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 10)
    sender = gateway.world.webhook_sender
    assert isinstance(sender, ListWebhookSender)
    return [(message.url, json.loads(message.body)) for message in sender.sent]
