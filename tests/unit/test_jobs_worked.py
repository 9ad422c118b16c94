"""Workers of jobs: they die, are cancelled, come in twos, and ask their provider once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from gateway.model.job import Job
from gateway.pipeline import job_record
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import BELIEVED_S, WORK_S, JobBusy
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import JobPending, ask, look
from tests.fakes import MemoryFiles, key_hash
from tests.unit.conftest import KEY
from tests.unit.test_jobs import COST, REPLY, Gateway, Killed, gateway

__all__ = ["gateway"]


async def test_a_provider_that_refuses_fails_the_job(gateway: Gateway) -> None:
    gateway.provider.status, gateway.provider.reply = 400, {"error": {"message": "no", "code": "bad"}}
    job_id = await gateway.accepted()
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["result"], shown["cost_estimate"]) == ("failed", None, 0)
    assert shown["error"]["code"] == "validation_error"
    assert (gateway.holds, list(gateway.ends.values())) == (0, ["request.failed"])


async def test_a_large_reply_is_a_file(gateway: Gateway) -> None:
    gateway.provider.reply = {
        **REPLY,
        "choices": [{**REPLY["choices"][0], "message": {"role": "assistant", "content": "x" * 70_000}}],
    }
    shown = await gateway.worked(await gateway.accepted())
    assert "body" not in shown["result"]
    assert isinstance(gateway.world.files, MemoryFiles)
    stored, data = gateway.world.files.whole["acme", shown["result"]["file_id"]]
    assert stored.content_type == "application/json"
    assert len(json.loads(data)["choices"][0]["message"]["content"]) == 70_000
    assert shown["result"]["url"].startswith("https://")


async def test_a_worker_that_dies_before_it_asks_is_followed_by_one_that_asks(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    change, calls = gateway.world.jobs.change, 0

    async def dying(job: Job, due_at_s: int | None = None) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Killed
        return await change(job, due_at_s)

    gateway.world.jobs.change = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await gateway.step(ask, job_id)
    assert (gateway.provider.asked, (await gateway.job(job_id)).status) == (0, "running")
    gateway.clock.unix_s += BELIEVED_S
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (1, 0)


@pytest.mark.parametrize(("policy", "is_charged"), [("charge", True), ("release", False)])
async def test_a_worker_that_dies_while_it_asks_is_followed_by_none(
    gateway: Gateway, policy: Any, is_charged: bool
) -> None:
    held = gateway.access.held[key_hash(KEY)]
    tenant = msgspec.structs.replace(held.tenant, lost_requests=policy)
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, tenant=tenant)

    async def dies() -> None:
        raise Killed

    gateway.provider.meanwhile = dies
    job_id = await gateway.accepted()
    with pytest.raises(Killed):
        await gateway.step(ask, job_id)
    with pytest.raises(JobBusy):
        await gateway.step(ask, job_id)
    gateway.clock.unix_s += BELIEVED_S
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "job_interrupted")
    assert (gateway.provider.asked, gateway.holds) == (1, 0)
    assert [cost and cost > COST for cost in gateway.costs.values()] == [is_charged or 0]
    assert list(gateway.ends.values()) == ["request.failed"]


async def test_every_step_may_be_repeated(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    for _ in range(3):
        await gateway.step(ask, job_id)
    for _ in range(3):
        await gateway.step(settle, job_id)
    assert (gateway.provider.asked, gateway.holds, len(gateway.ends)) == (1, 0, 1)


async def test_an_end_that_was_recorded_is_told_by_whoever_comes_next(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.step(ask, job_id)
    assert (gateway.ends, gateway.holds) == ({}, 2)
    gateway.clock.unix_s += 3_600
    swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (swept.settled, gateway.holds, list(gateway.ends.values())) == (1, 0, ["request.completed"])
    again = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert again.settled == 0


async def test_a_job_that_is_cancelled_before_it_begins_costs_nothing(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    answer = await gateway.send("DELETE", f"/v1/jobs/{job_id}")
    assert (answer.status, answer.json["status"], answer.json["error"]["code"]) == (200, "cancelled", "job_cancelled")
    told = gateway.events[-1]
    assert told.of is not None
    assert (told.event, told.of.operation) == ("request.completed", "jobs.cancel")
    assert (gateway.holds, list(gateway.costs.values())) == (0, [0])
    shown = await gateway.worked(job_id)
    assert (shown["status"], gateway.provider.asked) == ("cancelled", 0)
    assert (await gateway.send("POST", f"/v1/jobs/{job_id}/cancel")).json["status"] == "cancelled"
    assert list(gateway.ends.values()) == ["request.failed"]


async def test_a_job_that_is_cancelled_while_its_provider_works_is_paid_and_has_no_result(gateway: Gateway) -> None:
    job_id = await gateway.accepted()

    async def cancelled() -> None:
        assert (await gateway.send("DELETE", f"/v1/jobs/{job_id}")).json["status"] == "cancelled"

    gateway.provider.meanwhile = cancelled
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["result"]) == ("cancelled", None)
    assert (gateway.holds, list(gateway.costs.values())) == (0, [COST])
    assert shown["cost_estimate"] == COST / 1e9
    assert list(gateway.ends.values()) == ["request.failed"]


async def test_a_job_that_is_cancelled_before_its_provider_is_asked_asks_nobody(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    find = gateway.world.credentials.find

    async def cancelled(provider: str) -> Any:
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        return await find(provider)

    gateway.world.credentials.find = cancelled  # type: ignore[method-assign]
    shown = await gateway.worked(job_id)
    assert (shown["status"], gateway.provider.asked, gateway.holds) == ("cancelled", 0, 0)


async def test_a_worker_that_hears_of_a_cancellation_between_two_steps_asks_nobody(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_record, "BEAT_S", 0.0)
    job_id = await gateway.accepted()
    find = gateway.world.credentials.find

    async def cancelled(provider: str) -> Any:
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        for _ in range(20):
            await asyncio.sleep(0)  # several beats, if there are any after the one that hears of it
        return await find(provider)

    gateway.world.credentials.find = cancelled  # type: ignore[method-assign]
    shown = await gateway.worked(job_id)
    assert (shown["status"], gateway.provider.asked, gateway.holds) == ("cancelled", 0, 0)
    assert list(gateway.costs.values()) == [0]


async def test_two_workers_ask_once(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    working = asyncio.Event()

    async def works() -> None:
        working.set()
        await asyncio.sleep(0.01)

    gateway.provider.meanwhile = works
    first, second = asyncio.create_task(gateway.step(ask, job_id)), asyncio.create_task(gateway.step(ask, job_id))
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Job, JobBusy]
    assert gateway.provider.asked == 1
    shown = await gateway.worked(job_id)
    assert shown["status"] == "completed", shown


async def test_a_job_of_which_nothing_more_comes_is_waited_for_no_longer(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    waited = lambda job, world: look(job, world, 5.0)  # noqa: E731
    with pytest.raises(JobPending):
        await gateway.step(waited, job_id)
    gateway.clock.unix_s += WORK_S + 1
    assert (await gateway.step(waited, job_id)).status == "failed"
