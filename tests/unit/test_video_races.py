"""Videos that two people change in the same moment, in memory."""

from __future__ import annotations

from typing import Literal

import pytest

from gateway.model.errors import StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_work import ask
from gateway.pipeline.tenant_jobs import TenantJobs
from tests.unit.videos_gateway import Gateway, gateway, said

__all__ = ["gateway"]


@pytest.mark.parametrize("policy", ["charge", "release"])
async def test_a_video_that_is_cancelled_in_the_moment_in_which_it_is_begun_is_stopped_and_paid_in_full(
    gateway: Gateway, policy: Literal["charge", "release"]
) -> None:
    """The worker records the provider's id between the canceller's look and his word, and is gone by then."""
    gateway.allow(lost_requests=policy)
    gateway.provider.begins = said(200, id="t-1")
    video_id = (await gateway.create(model="runway/clip", **{"async": True})).json["id"]
    seen = await gateway.jobs.get("acme", video_id)
    change = gateway.jobs.change

    async def overtaken(job: Job, due_at_s: int | None = None) -> bool:
        if job.status == "cancelled" and not job.is_asked:
            gateway.jobs.change = change  # type: ignore[method-assign]
            assert (await ask(seen, gateway.world)).is_begun
        return await change(job, due_at_s)

    gateway.jobs.change = overtaken  # type: ignore[method-assign]
    assert (await TenantJobs("acme", gateway.world).cancel(video_id)).status == "cancelled"
    await settle(await gateway.jobs.get("acme", video_id), gateway.world)
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("job_cancelled", 280_000_000)]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
    assert [request.method for request in gateway.provider.sent] == ["POST", "DELETE"]
    assert (await gateway.jobs.get("acme", video_id)).cost_nano_usd == 280_000_000


def losing_its_name(gateway: Gateway, *, times: int, is_kept: bool) -> None:
    """So many writes of the provider's name for a video are not answered. `is_kept`: they come through all the same."""
    change, lost = gateway.jobs.change, 0

    async def unanswered(job: Job, due_at_s: int | None = None) -> bool:
        nonlocal lost
        if not job.is_begun or lost == times:
            return await change(job, due_at_s)
        lost += 1
        if is_kept:
            await change(job, due_at_s)
        raise StorageUnavailable("Jobs cannot be stored at the moment.")

    gateway.jobs.change = unanswered  # type: ignore[method-assign]


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("is_ordered", [False, True])
async def test_a_video_whose_name_could_not_be_written_at_once_is_begun_all_the_same(
    gateway: Gateway, is_ordered: bool, is_kept: bool
) -> None:
    gateway.provider.begins = said(200, id="t-1")
    losing_its_name(gateway, times=2, is_kept=is_kept)
    video_id = await begun(gateway, is_ordered=is_ordered)
    job = await gateway.jobs.get("acme", video_id)
    assert job.is_begun and not job.has_ended
    assert [request.method for request in gateway.provider.sent] == ["POST"]


@pytest.mark.parametrize("is_ordered", [False, True])
async def test_a_video_whose_name_nobody_can_keep_is_stopped_and_paid_once(gateway: Gateway, is_ordered: bool) -> None:
    gateway.provider.begins = said(200, id="t-1")
    losing_its_name(gateway, times=100, is_kept=False)
    await begun(gateway, is_ordered=is_ordered)
    assert [request.method for request in gateway.provider.sent] == ["POST", "DELETE"]
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("storage_unavailable", 280_000_000)]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def begun(gateway: Gateway, *, is_ordered: bool) -> str:
    """By the request that asks for it, or by the worker of a job."""
    answer = await gateway.create(model="runway/clip", **({"async": True} if is_ordered else {}))
    ((_, video_id),) = gateway.jobs.held
    assert is_ordered is (answer.status == 202)
    if is_ordered:
        for step in (ask, settle):
            await step(await gateway.jobs.get("acme", video_id), gateway.world)
    return video_id
