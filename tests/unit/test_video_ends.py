"""How videos end, in memory: told and settled once, whoever dies, sweeps, cancels or looks meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.errors import AdmissionUnavailable, JobInterrupted, StorageUnavailable
from gateway.model.http import HttpRequest
from gateway.model.limits import Allowance, Budget
from gateway.model.record import BudgetAlert
from gateway.model.webhook import Webhook
from gateway.pipeline.job_accept import START_AGAIN_S
from gateway.pipeline.job_end import FINISHING_S, give_up, settle
from gateway.pipeline.job_record import WORK_S
from gateway.pipeline.job_sweep import LATER_S, SweptJobs, sweep_jobs
from gateway.pipeline.job_work import JobPending, ask, look
from gateway.pipeline.remote_look import LEASE_S
from gateway.pipeline.tenant_jobs import TenantJobs
from gateway.pipeline.video_begin import SENDING_S
from tests.fakes import ListEvents, ListExecutions, MemoryPayloads
from tests.unit.videos_gateway import DONE, EVERY_S, PENDING, Dying, Gateway, gateway, said

__all__ = ["gateway"]

MONTHLY = Allowance(budgets=(Budget(models="*", window="month", usd=Decimal(1)),), alerts=(20,))


async def executed(gateway: Gateway, video_id: str) -> None:
    """What the video's execution does: it looks until it has ended, and settles."""
    for step in (partial(look, every_s=EVERY_S), settle):
        await step(await gateway.jobs.get("acme", video_id), gateway.world)


async def swept(gateway: Gateway) -> SweptJobs:
    return await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)


class Died(BaseException):
    """A function stops: nothing of it goes on."""


@pytest.mark.parametrize("is_swept", [False, True])
async def test_an_end_that_was_not_told_is_told_by_whoever_comes_next_as_it_was(
    gateway: Gateway, is_swept: bool
) -> None:
    """And not as that of a job whose worker died."""
    gateway.allow(lost_requests="release")
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]
    events, gateway.world = gateway.world.events, replace(gateway.world, events=Dying())
    assert (await gateway.get(f"/{video_id}")).status == 500
    gateway.world = replace(gateway.world, events=events)
    if is_swept:
        gateway.clock.unix_s += FINISHING_S
        assert (await swept(gateway)).settled == 1
    else:
        await executed(gateway, video_id)
    assert _paid_once(gateway)
    assert gateway.audit == ["request.started", "request.completed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_who_reads_a_video_while_its_execution_ends_it_changes_nothing(gateway: Gateway) -> None:
    gateway.allow(lost_requests="release", allowance=MONTHLY)
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]
    events = gateway.world.events

    class Slow(ListEvents):
        async def send(self, told: Any) -> None:
            gateway.world = replace(gateway.world, events=events)
            await executed(gateway, video_id)
            await events.send(told)

    gateway.world = replace(gateway.world, events=Slow())
    read = (await gateway.get(f"/{video_id}")).json
    assert (read["status"], read["usage"]["cost_estimate"]) == ("completed", 0.28)
    assert _paid_once(gateway)
    assert gateway.audit == ["request.started", "request.completed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
    assert len([told for told in gateway.told if isinstance(told, BudgetAlert)]) == 1


def _paid_once(gateway: Gateway) -> bool:
    """What is told twice has the same id, and says the same."""
    told = {(record.id.partition(".")[2], record.outcome, record.cost_nano_usd) for record in gateway.usage}
    return told == {("1", "ok", 280_000_000)}


async def test_what_is_held_for_a_video_that_is_ordered_is_held_for_long_when_there_is_a_job(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: Any) -> Any:
        raise AdmissionUnavailable("The ledger does not answer.")

    gateway.allow(allowance=MONTHLY)
    leases_s = []
    for is_prolonged in (False, True):
        with monkeypatch.context() as broken:
            if not is_prolonged:
                broken.setattr(gateway.world.ledger, "enlarge", silent)
            assert (await gateway.create(**{"async": True})).status == 202
        holds = (await gateway.world.ledger.read("T#acme#0")).holds
        leases_s.append(max(hold.until_s for hold in holds.values()) - gateway.clock.now_s())
    assert leases_s[0] < 600
    assert leases_s[1] > 86_400


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("fatal", range(1, 10))
async def test_wherever_who_ends_a_video_dies_it_is_told_and_settled_once(
    gateway: Gateway, fatal: int, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each call that is seen outside of the function, before it or after it."""
    gateway.allow(lost_requests="release", allowance=MONTHLY)
    video_id = await gateway.begun()
    gateway.provider.looks, calls = [DONE], 0
    gateway.clock.unix_s += EVERY_S

    def dying(act: Any) -> Any:
        async def acted(*given: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == fatal and not is_done:
                raise Died
            done = await act(*given)
            if calls == fatal:
                raise Died
            return done

        return acted

    world = gateway.world
    ports = ((gateway.jobs, "change"), (world.events, "send"), (world.ledger, "settle"), (world.payloads, "drop"))
    with monkeypatch.context() as patched:
        for port, name in (*ports, (gateway.files, "put_stream")):
            patched.setattr(port, name, dying(getattr(port, name)))
        with suppress(Died):
            await executed(gateway, video_id)
            raise AssertionError(calls)
    for later_s in (0.0, LEASE_S, LEASE_S):
        gateway.clock.unix_s += later_s
        with suppress(JobPending):
            await executed(gateway, video_id)
    assert _paid_once(gateway)
    assert gateway.audit == ["request.started", "request.completed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
    job, due_at_s = gateway.jobs.held["acme", video_id]
    assert (job.held, job.owed, due_at_s) == (None, None, None)


TOLD = Webhook(url="https://a.example")


async def test_an_end_is_recorded_on_top_of_what_others_write_meanwhile(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]

    async def write(_: HttpRequest) -> None:
        job = await gateway.jobs.get("acme", video_id)
        await gateway.jobs.change(job.changed(webhook=TOLD))

    gateway.provider.before = write
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert (await gateway.jobs.get("acme", video_id)).webhook == TOLD


async def test_a_bill_that_cannot_be_settled_now_keeps_nobody_from_the_video(gateway: Gateway) -> None:
    payloads = gateway.world.payloads
    assert isinstance(payloads, MemoryPayloads)
    video_id = await gateway.begun()
    gateway.provider.looks, payloads.is_broken = [DONE], True
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
    job, due_at_s = gateway.jobs.held["acme", video_id]
    assert (job.owed is None, due_at_s) == (False, gateway.clock.unix_s + FINISHING_S)
    payloads.is_broken = False
    gateway.clock.unix_s += FINISHING_S
    assert ((await swept(gateway)).settled, await gateway.held()) == (1, (0, 280_000_000, 280_000_000))


async def test_a_video_whose_execution_was_throttled_is_started_by_the_next_sweep(gateway: Gateway) -> None:
    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.is_throttled = True
    video_id = await gateway.begun()
    executions.is_throttled = False
    gateway.clock.unix_s += START_AGAIN_S
    assert ((await swept(gateway)).started, executions.started) == (1, {video_id: True})
    assert (await ask(await gateway.jobs.get("acme", video_id), gateway.world)).is_begun


async def test_a_video_that_was_looked_at_stays_in_sight_of_the_sweeper(gateway: Gateway) -> None:
    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    video_id = await gateway.begun()
    gateway.provider.looks = [PENDING]
    outcomes = []
    for is_running in (True, True, False):
        await gateway.get(f"/{video_id}")
        executions.started[video_id] = is_running
        gateway.clock.unix_s += LATER_S
        found = await swept(gateway)
        outcomes.append((found.running, found.ended))
    assert outcomes == [(1, 0), (1, 0), (0, 1)]
    assert (await gateway.get(f"/{video_id}")).json["error"]["code"] == "job_interrupted"
    assert [record.outcome for record in gateway.usage] == ["lost"]
    assert (await gateway.held())[0] == 0


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_a_video_that_is_cancelled_before_it_is_begun_holds_nothing(gateway: Gateway, is_deleted: bool) -> None:
    executions, payloads = gateway.world.executions, gateway.world.payloads
    assert isinstance(executions, ListExecutions)
    assert isinstance(payloads, MemoryPayloads)
    executions.is_throttled = True
    video_id = (await gateway.create(**{"async": True})).json["id"]
    assert await gateway.held() == (1, 280_000_000, 0)
    if is_deleted:
        assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
    else:
        assert (await TenantJobs("acme", gateway.world).cancel(video_id)).status == "cancelled"
    assert (await gateway.held(), payloads.held) == ((0, 0, 0), {})
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("job_cancelled", 0)]
    assert gateway.jobs.held["acme", video_id][1] is None
    await ask(await gateway.jobs.get("acme", video_id), gateway.world)
    assert gateway.provider.sent == []


@pytest.mark.parametrize("is_begun", [True, False])
async def test_an_accepted_video_that_is_deleted_while_it_is_begun_is_accounted_for_by_its_worker(
    gateway: Gateway, is_begun: bool
) -> None:
    gateway.provider.begins = said(200, id="t-1") if is_begun else said(400, error="no")
    video_id = (await gateway.create(model="runway/clip", **{"async": True})).json["id"]

    async def delete(request: HttpRequest) -> None:
        if request.method == "POST":
            assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
            assert gateway.usage == []
            job, due_at_s = gateway.jobs.held["acme", video_id]
            assert (job.held is None, due_at_s) == (False, gateway.clock.unix_s + WORK_S)

    gateway.provider.before = delete
    for step in (ask, settle):
        await step(await gateway.jobs.get("acme", video_id), gateway.world)
    code, cost = ("job_cancelled", 280_000_000) if is_begun else ("validation_error", 0)
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [(code, cost)]
    assert await gateway.held() == (0, cost, cost)
    assert gateway.provider.sent[-1].method == ("DELETE" if is_begun else "POST")
    assert (await gateway.get(f"/{video_id}")).status == 404


async def test_a_video_whose_function_died_while_it_asked_is_ended_by_the_sweeper(gateway: Gateway) -> None:
    """What was held is left to the sweeper of holds: its record is told once, by whoever settles it."""

    async def die(_: HttpRequest) -> None:
        raise Died

    gateway.provider.before = die
    with suppress(Died):
        await gateway.create()
    gateway.told.clear()  # what an exception lets it tell, and a death does not
    ((_, video_id),) = gateway.jobs.held
    gateway.clock.unix_s += LATER_S
    assert (await swept(gateway)).running == 1
    gateway.clock.unix_s += SENDING_S
    assert (await swept(gateway)).started == 1
    ended = await settle(await ask(await gateway.jobs.get("acme", video_id), gateway.world), gateway.world)
    assert (ended.status, gateway.usage, gateway.audit) == ("failed", [], [])
    assert len(gateway.provider.sent) == 1


async def test_a_job_that_waited_has_its_time_from_its_beginning(gateway: Gateway) -> None:
    async def slowly(_: HttpRequest) -> None:
        await asyncio.sleep(0.01)  # lets a deadline that has come strike

    gateway.provider.before = slowly
    video_id = (await gateway.create(**{"async": True})).json["id"]
    gateway.clock.unix_s, gateway.clock.running_s = gateway.clock.unix_s + 3_600, gateway.clock.running_s + 3_600
    assert (await ask(await gateway.jobs.get("acme", video_id), gateway.world)).is_begun
    await gateway.finished(video_id)
    (record,) = gateway.usage
    assert (record.latency_ms, record.queue_ms) == (10_000, 3_600_000)


@pytest.mark.parametrize("step", ["storing", "reading", "writing"])
async def test_what_fails_for_a_moment_ends_no_video(
    gateway: Gateway, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often: its execution looks again, and the provider goes on meanwhile."""
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]

    async def fails(*_: Any) -> Any:
        raise AdmissionUnavailable("not now") if step == "reading" else StorageUnavailable("not now")

    port, name = {
        "storing": (gateway.files, "put_stream"),
        "reading": (gateway.access, "read"),
        "writing": (gateway.jobs, "change"),
    }[step]
    with monkeypatch.context() as patched:
        patched.setattr(port, name, fails)
        for _ in range(20):
            gateway.clock.unix_s += LEASE_S
            with pytest.raises(JobPending):
                await executed(gateway, video_id)
    gateway.clock.unix_s += LEASE_S
    await executed(gateway, video_id)
    assert _paid_once(gateway)
    assert len(gateway.files.whole) == 1


async def test_a_begun_video_that_is_given_up_is_stopped(gateway: Gateway) -> None:
    gateway.provider.begins = said(200, id="t-1")
    video_id = await gateway.begun(model="runway/clip")
    for _ in range(2):
        await give_up(await gateway.jobs.get("acme", video_id), JobInterrupted("died"), gateway.world)
    assert [(sent.method, sent.url[-9:]) for sent in gateway.provider.sent[1:]] == [("DELETE", "tasks/t-1")]
    await executed(gateway, video_id)
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
