"""A video that its provider has in a queue, as the sweep sees it."""

from __future__ import annotations

from gateway.pipeline.job_sweep import sweep_jobs
from tests.unit.videos_gateway import Gateway, gateway

__all__ = ["gateway"]


async def test_what_its_provider_has_in_a_queue_waits_for_no_worker(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    assert ((await gateway.jobs.get("acme", video_id)).status, len(gateway.provider.sent)) == ("pending", 1)
    gateway.clock.unix_s += 7_200
    found = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (found.running + found.started, found.oldest_pending_s) == (1, 0)
