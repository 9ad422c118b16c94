"""A job is cancelled at any moment of any state of its machine: it ends as its tenant was told, and is paid once."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from gateway.pipeline.job_record import BELIEVED_S
from gateway.pipeline.tenant_jobs import TenantJobs
from tests.dying import Fate, Killed, Moment, mortal
from tests.job_stage import COSTS, Stage
from tests.unit.test_job_kills import KILLS, Way, staged


class Cancelling:
    """Cancels the job at a moment, and keeps what its tenant is told."""

    def __init__(self) -> None:
        self.stage: Stage | None = None
        self.job_id = ""
        self.told: Any = None

    async def __call__(self, _: Moment | None = None) -> None:
        assert self.stage is not None
        answer = await self.stage.send("DELETE", f"/v1/jobs/{self.job_id}")
        assert answer.status == 200, answer.body
        self.told = answer.json

    async def check(self) -> None:
        """As it was told, also to whoever cancels it again, and what a provider was begun with was stopped."""
        stage = self.stage
        assert stage is not None
        job = await stage.check_ended(self.job_id, self.told["status"])
        assert (job.status == "cancelled") == ((job.error or {}).get("code") == "job_cancelled"), job.error
        if job.status == "cancelled":
            assert job.result is None
            assert stage.kept_files() == [], stage.kept_files()
            assert stage.provider.stopped == (
                1 if job.is_begun and stage.kind in ("video", "background") else stage.provider.stopped
            )
        again = await stage.send("POST", f"/v1/jobs/{self.job_id}/cancel")
        assert (again.status, again.json["status"]) == (200, job.status)
        assert await stage.job(self.job_id) == job


@pytest.mark.parametrize("kind", ["chat", "large", "refused", "background", "video"])
async def test_a_job_that_is_cancelled_before_it_begins_costs_nothing(kind: str) -> None:
    cancel = Cancelling()
    cancel.stage = stage = Stage.of(kind)
    cancel.job_id = await stage.ordered()
    await cancel()
    await stage.carried_on(cancel.job_id)
    await stage.swept_to_the_end()
    await cancel.check()
    assert (cancel.told["status"], stage.provider.asked, sum(stage.costs.values())) == ("cancelled", 0, 0)


@pytest.mark.parametrize(("state", "way"), KILLS)
async def test_whenever_it_is_cancelled_a_job_ends_as_its_tenant_is_told(state: str, way: Way) -> None:
    told = []
    for at in range(1_000):
        cancel = Cancelling()
        fate = Fate(at, cancel)
        cancel.stage = stage = staged(state, way, fate)
        cancel.job_id = await stage.ordered()
        await stage.carried_on(cancel.job_id)
        if fate.struck is None:
            break
        await stage.swept_to_the_end()
        try:
            await cancel.check()
        except AssertionError as error:
            raise AssertionError(f"cancelled {fate.struck}, {at}") from error
        told.append(cancel.told["status"])
    assert "cancelled" in told or state in ("Settle the bill", "Tell the caller") or way.after, told


@pytest.mark.parametrize(
    ("kind", "state", "moment"),
    [
        ("chat", "Ask the provider", "before access.read"),
        ("chat", "Ask the provider", "before outbound.open"),
        ("chat", "Ask the provider", "after outbound.open.whole"),
        ("background", "Ask the provider", "after outbound.open.whole"),
        ("background", "Wait for the provider", "before jobs.get"),
        ("background", "Wait for the provider", "after outbound.open.whole"),
        ("video", "Ask the provider", "after outbound.open.whole"),
        ("video", "Wait for the provider", "before jobs.get"),
        ("video", "Wait for the provider", "before files.put_stream"),
    ],
)
async def test_wherever_who_cancels_a_job_is_killed_it_ends_once(kind: str, state: str, moment: str) -> None:
    for at in range(1_000):
        stage, killing = Stage.of(kind), Fate(at)
        job_id = await stage.ordered()

        async def cancelled(_: Moment, stage: Stage = stage, killing: Fate = killing, job_id: str = job_id) -> None:
            world = mortal(stage.world, killing)
            with suppress(Killed):
                await TenantJobs("acme", world).cancel(job_id)

        stage.fates[state] = Fate(moment, cancelled)
        await stage.carried_on(job_id)
        if killing.struck is None:
            break
        await stage.swept_to_the_end()
        try:
            await stage.check_ended(job_id, "completed", "cancelled")
        except AssertionError as error:
            raise AssertionError(f"killed {killing.struck}, {at}") from error
    assert at > 4, killing.passed


async def beaten(stage: Stage, job_id: str, due_at_s: int | None = None) -> None:
    """As a worker does every few seconds, by a clock that no test moves."""
    job = await stage.job(job_id)
    assert await stage.world.jobs.change(job.changed(alive_until_s=stage.clock.now_s() + BELIEVED_S), due_at_s)


async def test_a_sweep_that_was_late_leaves_one_that_is_cancelled_to_its_worker() -> None:
    """It was due as it stood a moment before."""
    stage = Stage.of("chat")
    job_id = await stage.ordered()

    async def cancelled_and_swept(_: Moment) -> None:
        await stage.send("DELETE", f"/v1/jobs/{job_id}")
        stage.clock.unix_s += 60
        await beaten(stage, job_id, due_at_s=0)
        assert (await stage.swept(later_s=0)).running == 1

    stage.fates["Ask the provider"] = Fate("after outbound.open", cancelled_and_swept)
    await stage.carried_on(job_id)
    assert (await stage.check_ended(job_id, "cancelled")).cost_nano_usd == COSTS["chat"]


@pytest.mark.parametrize("later_s", [0.0, 100.0])
async def test_one_that_is_cancelled_and_stopped_by_force_is_accounted_for_by_its_worker(later_s: float) -> None:
    """Which knows what it has cost, however long its provider takes."""
    stage = Stage.of("chat")
    job_id = await stage.ordered()
    stopped = {"detail": {"input": json.dumps({"tenant_id": "acme", "job_id": job_id})}}

    async def cancelled_and_stopped(_: Moment) -> None:
        assert (await stage.send("DELETE", f"/v1/jobs/{job_id}")).json["status"] == "cancelled"
        stage.clock.unix_s += later_s
        await beaten(stage, job_id)
        assert (await stage.worked(stopped))["status"] == "cancelled"
        assert stage.costs == {}

    stage.fates["Ask the provider"] = Fate("after outbound.open", cancelled_and_stopped)
    await stage.carried_on(job_id)
    assert (await stage.check_ended(job_id, "cancelled")).cost_nano_usd == COSTS["chat"]


async def test_what_becomes_of_one_that_is_cancelled_and_stopped_and_whose_worker_died_the_sweep_settles() -> None:
    stage = Stage.of("chat")
    job_id = await stage.ordered()
    stopped = {"detail": {"input": json.dumps({"tenant_id": "acme", "job_id": job_id})}}

    async def cancelled(_: Moment) -> None:
        await stage.send("DELETE", f"/v1/jobs/{job_id}")
        raise Killed

    stage.fates["Ask the provider"], stage.dies_whole = Fate("after outbound.open", cancelled), True
    assert await stage.carried_on(job_id) is None
    await stage.worked(stopped)
    await stage.swept_to_the_end()
    assert (await stage.check_ended(job_id, "cancelled")).cost_nano_usd == sum(stage.costs.values()) > COSTS["chat"]
