"""Chats in the background whose request ends before they do, in memory: asked once, and what is made is found."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import AsyncMock

import pytest

from gateway.entry import door
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest
from gateway.model.job import Job
from gateway.model.webhook import WebhookSettings
from gateway.pipeline.background import SEEN_TO_S
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import ask
from tests.asgi import Answer
from tests.fakes import ListExecutions, ListWebhookSender
from tests.unit.test_background import CHAT, COST, DONE, WORKING, Gateway, gateway_of_background
from tests.unit.test_jobs import Killed

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


async def test_a_record_whose_making_nobody_heard_of_costs_nothing(gateway: Gateway) -> None:
    """Neither of its writing nor of a look at it: the answer is that there is no job, and nobody was asked."""
    jobs = gateway.world.jobs
    create, get = jobs.create, jobs.get

    async def silent(job: Job, due_at_s: int) -> None:
        await create(job, due_at_s)
        raise StorageUnavailable("Jobs cannot be stored at the moment.")

    async def unread(*_: str) -> Job:
        raise StorageUnavailable("Jobs cannot be read at the moment.")

    jobs.create, jobs.get = silent, unread  # type: ignore[method-assign, assignment]
    answer = await gateway.post(**CHAT)
    jobs.create, jobs.get = create, get  # type: ignore[method-assign]
    assert (answer.status, answer.json["error"]["retryable"]) == (503, True)
    assert (gateway.remote.asked("POST"), gateway.holds) == (0, 0)
    told = len(gateway.events)
    ended = await _carried_on(gateway)
    assert (ended.status, ended.cost_nano_usd, ended.owed, gateway.payloads) == ("failed", None, None, {})
    assert (list(gateway.costs.values()), len(gateway.events), gateway.remote.sent) == ([0], told, [])


async def test_who_dies_before_a_provider_is_asked_pays_nothing(gateway: Gateway) -> None:
    async def dies(*_: Any) -> None:
        raise Killed

    payloads = gateway.world.payloads
    put = payloads.put
    payloads.put = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        await gateway.post(**CHAT)
    payloads.put = put  # type: ignore[method-assign]
    ended = await _carried_on(gateway)
    assert (ended.status, ended.error and ended.error["code"]) == ("failed", "job_interrupted")
    assert gateway.is_settled(0)
    assert gateway.remote.sent == []


async def _killed(gateway: Gateway) -> None:
    """In the middle of a look, with nothing that comes after."""

    async def dies(request: HttpRequest) -> None:
        if request.method == "GET":
            gateway.remote.before = None
            raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(door, "conclude", AsyncMock())
        gateway.remote.before = dies
        with pytest.raises(Killed):
            await gateway.post(headers=KEYED, **CHAT)


@pytest.mark.parametrize("left", [_not_handed_over, _failing, _cut_off, _killed])
async def test_what_is_made_for_a_request_that_died_is_found_by_its_key(gateway: Gateway, left: Any) -> None:
    gateway.allow(webhooks=WebhookSettings(url=RECEIVER))
    await left(gateway)
    body = SHORT if left is _not_handed_over else CHAT
    again = await gateway.post(headers=KEYED, **body)
    assert (again.status, again.json["error"]["retryable"]) == (409, True)
    assert (await gateway.send("GET", "/v1/jobs")).json["data"] == []
    gateway.remote.looks = [DONE]
    job_id = (await _carried_on(gateway)).id
    again = await gateway.post(headers=KEYED, **body)
    assert (again.status, again.json["id"], again.json["status"]) == (202, job_id, "running")
    assert [one["id"] for one in (await gateway.send("GET", "/v1/jobs")).json["data"]] == [job_id]
    shown = await gateway.finished(job_id)
    assert shown["result"]["body"]["choices"][0]["message"]["content"] == "Hello."
    assert (gateway.remote.asked("POST"), gateway.holds, gateway.only.owed) == (1, 0, None)
    assert sum(cost or 0 for cost in gateway.costs.values()) == COST
    assert [said["data"]["id"] for _, said in await _told(gateway)] == [job_id]


async def test_one_that_died_while_it_asked_is_found_by_its_key_as_it_ended(gateway: Gateway) -> None:
    async def dies(_: HttpRequest) -> None:
        raise Killed

    gateway.remote.before = dies
    with pytest.raises(Killed):
        await gateway.post(headers=KEYED, **CHAT)
    await _carried_on(gateway)
    again = await gateway.post(headers=KEYED, **CHAT)
    assert (again.status, again.json["status"], again.json["error"]["code"]) == (202, "failed", "job_interrupted")
    assert gateway.remote.asked("POST") == 1


async def test_the_key_of_one_that_was_answered_in_time_stands_for_the_request(gateway: Gateway) -> None:
    answers: list[Answer] = []

    async def meanwhile(request: HttpRequest) -> None:
        if request.method == "GET":
            gateway.remote.before = None
            answers.append(await gateway.post(headers=KEYED, **CHAT))

    gateway.remote.before = meanwhile
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200
    answers.append(await gateway.post(headers=KEYED, **CHAT))
    assert [(answer.status, answer.json["error"]["retryable"]) for answer in answers] == [(409, True), (409, False)]
    assert "was carried out" in answers[1].json["error"]["message"]


async def _carried_on(gateway: Gateway) -> Job:
    """By an execution that a sweep has started."""
    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.started.clear()
    gateway.clock.unix_s += SEEN_TO_S
    await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 10)
    assert list(executions.started) == [gateway.only.id]
    await gateway.step(ask, gateway.only.id)
    return await gateway.step(settle, gateway.only.id)
