"""The reply of a job lies beside its record, which is listed, indexed and written again and again."""

from __future__ import annotations

import msgspec
import pytest

from gateway.model.errors import StorageUnavailable
from gateway.model.job import KEPT_S, Job
from gateway.pipeline.job_sweep import sweep_jobs
from tests.fakes import MemoryPayloads
from tests.unit.test_jobs import COST, Gateway, gateway

__all__ = ["gateway"]


def replies(gateway: Gateway) -> dict[str, bytes]:
    assert isinstance(gateway.world.payloads, MemoryPayloads)
    return gateway.world.payloads.replies


async def test_a_record_has_nothing_of_what_was_answered(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    shown = await gateway.worked(job_id)
    assert shown["result"]["body"]["choices"][0]["message"]["content"] == "Hello."
    assert b"Hello." not in msgspec.json.encode(await gateway.job(job_id))
    assert len(replies(gateway)) == 1


async def test_it_is_dropped_when_it_has_been_kept_as_long_as_promised(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    gateway.clock.unix_s += KEPT_S
    await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (replies(gateway), (await gateway.job(job_id)).result) == ({}, None)


async def test_one_that_is_lost_is_gone_and_says_so(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    replies(gateway).clear()
    answer = await gateway.send("GET", f"/v1/jobs/{job_id}")
    assert (answer.status, answer.json["error"]["code"]) == (410, "job_expired")
    assert (await gateway.send("GET", "/v1/jobs")).json["data"][0]["status"] == "completed"


@pytest.mark.parametrize(("failures", "status"), [(2, "completed"), (3, "failed")])
async def test_a_reply_is_paid_so_it_is_tried_again_to_keep_it(gateway: Gateway, failures: int, status: str) -> None:
    keep = gateway.world.payloads.keep_reply
    left = [*range(failures)]

    async def fails(job: Job, body: bytes) -> str:
        if left:
            left.pop()
            raise StorageUnavailable("a moment")
        return await keep(job, body)

    gateway.world.payloads.keep_reply = fails  # type: ignore[method-assign]
    shown = await gateway.worked(await gateway.accepted())
    assert (shown["status"], shown["cost_estimate"], gateway.provider.asked) == (status, COST / 1e9, 1)
