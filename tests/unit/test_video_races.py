"""Videos that two people change in the same moment, in memory."""

from __future__ import annotations

from typing import Literal

import pytest

from gateway.model.job import Job
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_work import ask
from gateway.pipeline.tenant_jobs import TenantJobs
from tests.unit.test_videos_function import Gateway, gateway, said

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
