"""Chats in the background when their record cannot be written, or their reply not given, at the moment."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.errors import InternalError, StorageUnavailable
from gateway.model.job import Job
from gateway.model.record import UsageRecord
from gateway.pipeline import background_look
from gateway.pipeline.background import EVERY_S
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import BELIEVED_S
from gateway.pipeline.job_work import JobPending, look
from tests.fakes import MemoryPayloads
from tests.unit.test_background import CHAT, COST, DONE, WORKING, Gateway, gateway
from tests.unit.test_background_deaths import swept

__all__ = ["gateway"]


async def test_a_request_that_cannot_be_kept_asks_nobody(gateway: Gateway) -> None:
    assert isinstance(gateway.world.payloads, MemoryPayloads)
    gateway.world.payloads.is_broken = True
    answer = await gateway.post(**CHAT)
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    assert gateway.remote.sent == []
    gateway.world.payloads.is_broken = False
    await gateway.step(settle, gateway.only.id)
    assert gateway.is_settled(0)


async def test_a_reply_that_cannot_be_given_at_the_moment_is_given_later(gateway: Gateway) -> None:
    job_id = await gateway.handed_over()
    gateway.remote.looks = [DONE]
    assert isinstance(gateway.world.payloads, MemoryPayloads)
    gateway.world.payloads.is_broken = True
    with pytest.raises(JobPending):
        await gateway.looked(job_id)
    gateway.world.payloads.is_broken = False
    assert (await gateway.finished(job_id))["status"] == "completed"
    assert gateway.is_settled(COST)


async def test_a_reply_whose_end_cannot_be_recorded_is_given_and_paid_all_the_same(gateway: Gateway) -> None:
    change = gateway.world.jobs.change

    async def silent(job: Job, due_at_s: int | None = None) -> bool:
        if job.has_ended:
            raise StorageUnavailable("Jobs cannot be stored at the moment.")
        return await change(job, due_at_s)

    gateway.world.jobs.change = silent  # type: ignore[method-assign]
    assert (await gateway.post(**CHAT)).status == 200
    assert (gateway.troubles, gateway.costs) == (["job.not_ended"], {})
    gateway.world.jobs.change = change  # type: ignore[method-assign]
    await swept(gateway)
    await gateway.looked(gateway.only.id)
    await gateway.step(settle, gateway.only.id)
    assert gateway.is_settled(COST)


@pytest.mark.parametrize("looks", [[WORKING, DONE], [WORKING]])
async def test_a_sign_of_life_that_crosses_another_write_harms_nothing(gateway: Gateway, looks: list[Any]) -> None:
    """As of one that was cut off while its answer was on the way."""
    gateway.remote.looks = looks
    change, crossed = gateway.world.jobs.change, False

    async def crossing(job: Job, due_at_s: int | None = None) -> bool:
        nonlocal crossed
        done = await change(job, due_at_s)
        if job.is_begun and not crossed:
            crossed = True
            await change(job.changed(alive_until_s=gateway.clock.now_s() + BELIEVED_S), due_at_s)
        return done

    gateway.world.jobs.change = crossing  # type: ignore[method-assign]
    answer = await gateway.post(**CHAT)
    assert answer.status == (200 if DONE in looks else 202)


async def test_a_defect_while_a_late_reply_is_given_ends_the_job_at_its_cost(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise KeyError("a prompt")

    job_id = await gateway.handed_over()
    gateway.remote.looks = [DONE]
    monkeypatch.setattr(background_look, "kept_result", fails)
    gateway.clock.unix_s += EVERY_S
    ended = await look(
        await gateway.job(job_id), gateway.world, EVERY_S, lambda *_: InternalError("The gateway failed.")
    )
    await settle(ended, gateway.world)
    assert (ended.status, ended.error and ended.error["code"]) == ("failed", "internal_error")
    assert gateway.is_settled(COST)


async def test_what_a_late_reply_took_is_its_providers_time_and_none_of_the_gateways(gateway: Gateway) -> None:
    job_id = await gateway.handed_over()
    for running in (60.0, 60.0):
        gateway.clock.unix_s += running
        gateway.clock.running_s += running
    gateway.remote.looks = [DONE]
    await gateway.finished(job_id)
    (record,) = [told for told in gateway.world.events.told if isinstance(told, UsageRecord)]  # type: ignore[attr-defined]
    assert record.overhead_ms == 0
    assert (record.latency_ms or 0) >= 120_000
