"""A job that was cancelled while its provider was asked: its worker alone can say what that has cost. In memory."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import msgspec
import pytest

from gateway.entry.job_task import JobTask
from gateway.entry.runtime.client import Invocation
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import BELIEVED_S, WORK_S, JobBusy
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import ask
from tests.fakes import key_hash
from tests.unit.conftest import KEY
from tests.unit.test_jobs import COST, Gateway, Killed, gateway

__all__ = ["gateway"]


def losing(gateway: Gateway, policy: Literal["charge", "release"]) -> None:
    held = gateway.access.held[key_hash(KEY)]
    tenant = msgspec.structs.replace(held.tenant, lost_requests=policy)
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, tenant=tenant)


async def stopped_by_force(gateway: Gateway, job_id: str) -> Any:
    event = {"detail": {"input": json.dumps({"tenant_id": "acme", "job_id": job_id})}}
    return await JobTask(gateway.world, 5.0).handle(event, Invocation("r-1", deadline_s=gateway.clock.now_s() + 900))


@pytest.mark.parametrize("policy", ["charge", "release"])
async def test_nobody_else_accounts_for_it_while_its_worker_is_at_it(
    gateway: Gateway, policy: Literal["charge", "release"]
) -> None:
    losing(gateway, policy)
    job_id = await gateway.accepted()

    async def meanwhile() -> None:
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        assert (await stopped_by_force(gateway, job_id))["status"] == "cancelled"
        with pytest.raises(JobBusy):
            await gateway.step(settle, job_id)

    gateway.provider.meanwhile = meanwhile
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["cost_estimate"]) == ("cancelled", COST / 1e9)
    assert (gateway.holds, list(gateway.costs.values())) == (0, [COST])


async def test_its_worker_goes_on_to_say_that_it_is_at_it(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than it would be believed without; the sweeper comes in vain."""
    monkeypatch.setattr("gateway.pipeline.job_record.BEAT_S", 0.0)
    losing(gateway, "release")
    job_id = await gateway.accepted()

    async def meanwhile() -> None:
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        for _ in range(40):
            gateway.clock.unix_s += BELIEVED_S - 1
            for _ in range(20):
                await asyncio.sleep(0)
        assert gateway.clock.now_s() - (await gateway.job(job_id)).created_at_s > WORK_S
        swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
        assert (swept.settled, swept.failed) == (0, 0)
        with pytest.raises(JobBusy):
            await gateway.step(settle, job_id)

    gateway.provider.meanwhile = meanwhile
    assert (await gateway.worked(job_id))["cost_estimate"] == COST / 1e9
    assert (gateway.holds, list(gateway.costs.values())) == (0, [COST])


async def test_the_sweeper_leaves_it_to_a_worker_that_is_at_it(gateway: Gateway) -> None:
    job_id = await gateway.accepted()

    async def meanwhile() -> None:
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        job = await gateway.job(job_id)
        assert await gateway.world.jobs.change(job.changed(), int(gateway.clock.now_s()))
        swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
        assert (swept.running, swept.settled, swept.failed) == (1, 0, 0)

    gateway.provider.meanwhile = meanwhile
    assert (await gateway.worked(job_id))["cost_estimate"] == COST / 1e9


@pytest.mark.parametrize(("policy", "is_charged"), [("charge", True), ("release", False)])
async def test_it_is_settled_by_policy_when_its_worker_died_and_that_is_shown(
    gateway: Gateway, policy: Literal["charge", "release"], is_charged: bool
) -> None:
    losing(gateway, policy)
    job_id = await gateway.accepted()

    async def cancelled_and_killed() -> None:
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        raise Killed

    gateway.provider.meanwhile = cancelled_and_killed
    with pytest.raises(Killed):
        await gateway.step(ask, job_id)
    gateway.clock.unix_s += BELIEVED_S
    shown = await gateway.worked(job_id)
    (cost_nano_usd,) = gateway.costs.values()
    assert cost_nano_usd is not None and (cost_nano_usd > COST) == is_charged
    assert (shown["status"], shown["cost_estimate"], gateway.holds) == ("cancelled", cost_nano_usd / 1e9, 0)
