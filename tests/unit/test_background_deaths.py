"""Who waits for a chat in the background, or looks at it, dies: it is seen to."""

from __future__ import annotations

import pytest

from gateway.model.http import HttpRequest
from gateway.pipeline.background import SEEN_TO_S
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import JobPending, ask
from tests.fakes import ListExecutions
from tests.unit.test_background import CHAT, COST, DONE, Gateway, gateway
from tests.unit.test_jobs import Killed

__all__ = ["gateway"]


async def test_a_request_that_dies_while_it_waits_is_seen_to(gateway: Gateway) -> None:
    async def dies(request: HttpRequest) -> None:
        if request.method == "GET":
            raise Killed

    gateway.remote.before = dies
    with pytest.raises(Killed):
        await gateway.post(**CHAT)
    gateway.remote.before, job = None, gateway.only
    assert (job.is_begun, job.has_ended) == (True, False)
    await swept(gateway)
    assert list(gateway.world.executions.started) == [job.id]  # type: ignore[attr-defined]
    with pytest.raises(JobPending):
        await gateway.looked(job.id)
    assert (await gateway.looked(job.id)).status == "completed"
    await gateway.step(settle, job.id)
    assert gateway.is_settled(COST)
    assert gateway.remote.asked("POST") == 1


async def test_a_request_that_dies_while_it_asks_is_asked_no_more(gateway: Gateway) -> None:
    async def dies(_: HttpRequest) -> None:
        raise Killed

    gateway.remote.before = dies
    with pytest.raises(Killed):
        await gateway.post(**CHAT)
    gateway.remote.before, job = None, gateway.only
    assert (job.is_asked, job.is_begun) == (True, False)
    await swept(gateway)
    ended = await gateway.step(ask, job.id)
    await gateway.step(settle, job.id)
    assert (ended.status, ended.error and ended.error["code"]) == ("failed", "job_interrupted")
    assert gateway.holds == 0
    assert gateway.remote.asked("POST") == 1


async def swept(gateway: Gateway) -> None:
    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.started.clear()
    gateway.clock.unix_s += SEEN_TO_S
    await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 10)


async def test_a_look_that_dies_is_followed_by_another(gateway: Gateway) -> None:
    job_id = await gateway.handed_over()
    gateway.remote.looks = [DONE]

    async def dies(_: HttpRequest) -> None:
        raise Killed

    gateway.remote.before = dies
    with pytest.raises(Killed):
        await gateway.looked(job_id)
    gateway.remote.before = None
    gateway.clock.unix_s += 400
    assert (await gateway.finished(job_id))["status"] == "completed"
    assert gateway.is_settled(COST)
