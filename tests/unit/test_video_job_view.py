"""A video seen as a job: what it used and why it failed is told as of every job."""

from __future__ import annotations

from typing import Any

from gateway.entry.jobs import jobs_app
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_work import ask
from tests.asgi import call
from tests.unit.conftest import KEY
from tests.unit.test_videos_function import DONE, Gateway, gateway

__all__ = ["gateway"]


async def shown(gateway: Gateway, video_id: str, method: str = "GET") -> Any:
    headers = {"authorization": f"Bearer {KEY}"}
    return (await call(jobs_app(gateway.world), b"", headers, method=method, path=f"/v1/jobs/{video_id}")).json


async def test_its_usage_is_that_of_the_video(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]
    await gateway.finished(video_id)
    told = await shown(gateway, video_id)
    assert told["usage"] == told["result"]["body"]["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": 0.28}


async def test_its_error_is_an_error_as_any(gateway: Gateway) -> None:
    told = await shown(gateway, await gateway.begun(), "DELETE")
    error = told["error"]
    assert (error["code"], error["request_id"], error["retryable"]) == ("job_cancelled", told["request_id"], False)
    assert {"message", "type", "param"} <= error.keys()


async def test_one_whose_worker_had_no_answer_is_shown_with_what_it_cost(gateway: Gateway) -> None:
    """It may have been begun, and is paid; nothing is known of what was made."""
    gateway.provider.begins = TimeoutError()
    video_id = (await gateway.create(**{"async": True})).json["id"]
    for step in (ask, settle):
        await step(await gateway.jobs.get("acme", video_id), gateway.world)
    video = (await gateway.get(f"/{video_id}")).json
    assert (video["status"], video["usage"]) == ("failed", {"units": {}, "cost_estimate": 0.28})
