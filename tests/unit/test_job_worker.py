"""A job's worker and the record that it writes, where the record answers late, badly or not at all; in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.model.errors import StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.exchange import RECORD_S
from gateway.pipeline.job_record import BEAT_S, BELIEVED_S
from gateway.pipeline.job_work import ask
from tests.unit.test_jobs import COST, Gateway, gateway

__all__ = ["gateway"]

Concerned = Callable[[Job], bool]


def breaking(gateway: Gateway, concerned: Concerned, *, times: int = 10_000, is_kept: bool = False) -> list[Job]:
    """From now on so many writes of such revisions are not answered. `is_kept`: they come through all the same."""
    change, broken = gateway.world.jobs.change, list[Job]()

    async def unanswered(job: Job, due_at_s: int | None = None) -> bool:
        if not concerned(job) or len(broken) == times:
            return await change(job, due_at_s)
        broken.append(job)
        if is_kept:
            await change(job, due_at_s)
        raise StorageUnavailable("Jobs cannot be stored at the moment.")

    gateway.world.jobs.change = unanswered  # type: ignore[method-assign]
    return broken


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("times", [1, 6])
async def test_a_reply_that_was_paid_is_recorded_as_soon_as_it_can_be(
    gateway: Gateway, times: int, is_kept: bool
) -> None:
    job_id = await gateway.accepted()
    breaking(gateway, lambda job: job.has_ended, times=times, is_kept=is_kept)
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["result"]["status_code"]) == ("completed", 200)
    assert (gateway.provider.asked, list(gateway.costs.values())) == (1, [COST])
    assert list(gateway.ends.values()) == ["request.completed"]


async def test_a_worker_tries_no_longer_than_it_has(gateway: Gateway) -> None:
    job_id, began_s = await gateway.accepted(), gateway.clock.monotonic_s()
    breaking(gateway, lambda job: job.has_ended)
    with pytest.raises(StorageUnavailable):
        await gateway.step(ask, job_id)
    assert RECORD_S - 10 < gateway.clock.monotonic_s() - began_s <= RECORD_S


async def test_while_it_tries_to_record_an_end_its_worker_is_believed_to_be_at_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another one ends the job, which knows nothing of its reply."""
    monkeypatch.setattr("gateway.pipeline.job_record.BEAT_S", 0.0)
    job_id = await gateway.accepted()
    breaking(gateway, lambda job: job.has_ended)
    sleep, left_s = gateway.clock.sleep, list[float]()

    async def watched(seconds: float) -> None:
        await sleep(seconds)
        for _ in range(20):
            await asyncio.sleep(0)
        left_s.append((await gateway.job(job_id)).alive_until_s - gateway.clock.now_s())

    monkeypatch.setattr(gateway.clock, "sleep", watched)
    with pytest.raises(StorageUnavailable):
        await gateway.step(ask, job_id)
    assert min(left_s) >= BELIEVED_S - BEAT_S


@pytest.mark.parametrize("is_kept", [False, True])
async def test_a_worker_that_hears_nothing_of_having_said_whom_it_asks_asks_all_the_same(
    gateway: Gateway, is_kept: bool
) -> None:
    job_id = await gateway.accepted()
    breaking(gateway, lambda job: job.is_asked, times=1, is_kept=is_kept)
    shown = await gateway.worked(job_id)
    assert (shown["status"], gateway.provider.asked) == ("completed", 1)
    assert list(gateway.costs.values()) == [COST]


async def test_a_worker_takes_its_own_word_for_no_other_workers(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beats come through without an answer."""
    monkeypatch.setattr("gateway.pipeline.job_record.BEAT_S", 0.0)
    job_id, find = await gateway.accepted(), gateway.world.credentials.find
    unanswered = breaking(gateway, lambda job: not job.is_asked, times=2, is_kept=True)

    async def slow(provider: str) -> object:
        for _ in range(30):
            gateway.clock.unix_s += 1
            await asyncio.sleep(0)
        return await find(provider)

    monkeypatch.setattr(gateway.world.credentials, "find", slow)
    assert (await gateway.step(ask, job_id)).status == "completed"
    assert (len(unanswered), gateway.provider.asked) == (2, 1)


async def test_a_worker_that_another_has_followed_asks_nobody(gateway: Gateway) -> None:
    """It was believed no more, for it had slept."""
    job_id, find, entered = await gateway.accepted(), gateway.world.credentials.find, 0

    async def slept(provider: str) -> object:
        nonlocal entered
        entered += 1
        if entered == 1:
            gateway.clock.unix_s += BELIEVED_S
            assert (await gateway.step(ask, job_id)).status == "completed"
        return await find(provider)

    gateway.world.credentials.find = slept  # type: ignore[method-assign,assignment]
    assert (await gateway.step(ask, job_id)).status == "completed"
    assert (entered, gateway.provider.asked) == (2, 1)
