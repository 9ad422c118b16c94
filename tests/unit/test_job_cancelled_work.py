"""What a worker still does for a job that is cancelled while it is at it, in memory."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import Any

import pytest

from gateway.entry.jobs import jobs_app
from gateway.model.errors import StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.images_parts import PARTS_AT_ONCE
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_work import ask
from tests.asgi import call
from tests.fakes import MemoryFiles
from tests.unit.conftest import KEY
from tests.unit.test_embeddings_function import Whole
from tests.unit.test_images_function import Gateway, gateway, painted

__all__ = ["gateway"]

N = 10


async def cancel(gateway: Gateway, job_id: str) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    answer = await call(jobs_app(gateway.world), b"", headers, method="DELETE", path=f"/v1/jobs/{job_id}")
    assert answer.json["status"] == "cancelled"


async def painting(gateway: Gateway, *, is_cancelled: bool) -> str:
    """Of so many images, each a request of its own; the job is cancelled when the first requests are answered."""
    order = await gateway.paint(model="google/gemini", n=N, **{"async": True})
    assert order.status == 202, order.body
    job_id: str = order.json["id"]
    image = {"inlineData": {"mimeType": "image/png", "data": b64encode(painted("x")).decode()}}
    sent = 0

    async def meanwhile() -> None:
        nonlocal sent
        sent += 1
        if sent == PARTS_AT_ONCE and is_cancelled:
            await cancel(gateway, job_id)
        for _ in range(20):
            await asyncio.sleep(0)

    def say(_: Any) -> Whole:
        said = Whole(200, json.dumps({"candidates": [{"content": {"parts": [image]}}]}).encode())
        said.hold = meanwhile
        return said

    gateway.provider.say = say
    return job_id


def files(gateway: Gateway) -> MemoryFiles:
    assert isinstance(gateway.world.files, MemoryFiles)
    return gateway.world.files


async def worked(gateway: Gateway, job_id: str) -> Job:
    await ask(await gateway.world.jobs.get("acme", job_id), gateway.world)
    return await settle(await gateway.world.jobs.get("acme", job_id), gateway.world)


@pytest.mark.parametrize(("is_cancelled", "sent"), [(True, PARTS_AT_ONCE), (False, N)])
async def test_a_cancelled_job_sends_none_of_its_further_requests(
    gateway: Gateway, is_cancelled: bool, sent: int
) -> None:
    """Those that are answered are paid."""
    job = await worked(gateway, await painting(gateway, is_cancelled=is_cancelled))
    assert (job.status, len(gateway.provider.sent)) == ("cancelled" if is_cancelled else "completed", sent)
    assert len(files(gateway).whole) == (0 if is_cancelled else N)
    (usage,) = gateway.usage
    assert usage.cost_nano_usd == job.cost_nano_usd and usage.cost_nano_usd


async def test_whether_a_job_has_ended_is_not_asked_for_at_the_price_of_what_it_has(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the record cannot be read, what the worker knows counts."""
    job_id, jobs = await painting(gateway, is_cancelled=False), gateway.world.jobs

    async def silent(tenant_id: str, job_id: str) -> Job:
        raise StorageUnavailable("Jobs cannot be read at the moment.")

    job = await jobs.get("acme", job_id)
    monkeypatch.setattr(jobs, "get", silent)
    assert (await ask(job, gateway.world)).status == "completed"
    assert len(gateway.provider.sent) == N


@pytest.mark.parametrize("status", ["cancelled", "failed"])
async def test_what_was_made_for_a_job_that_comes_to_nothing_is_not_kept(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """It was cancelled while its last image was stored, or that could not be."""
    job_id, put, stored = await painting(gateway, is_cancelled=False), files(gateway).put, 0

    async def storing(*given: Any) -> None:
        nonlocal stored
        stored += 1
        if stored == N and status == "failed":
            raise StorageUnavailable("Files cannot be stored at the moment.")
        await put(*given)
        if stored == N:
            await cancel(gateway, job_id)

    monkeypatch.setattr(files(gateway), "put", storing)
    job = await worked(gateway, job_id)
    assert (job.status, stored, files(gateway).whole) == (status, N, {})
    assert job.cost_nano_usd
