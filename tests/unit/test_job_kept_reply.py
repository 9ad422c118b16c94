"""The reply of a job lies beside its record, which is listed, indexed and written again and again."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.errors import StorageUnavailable
from gateway.model.job import KEPT_S, Job
from gateway.model.webhook import WebhookReceipt
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import ask
from tests.fakes import ListWebhookSender, MemoryPayloads
from tests.job_stage import Stage
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


@pytest.mark.parametrize("by", ["its execution", "the sweep"])
async def test_it_goes_in_its_time_while_its_caller_cannot_be_told(by: str) -> None:
    stage = Stage.of("told")
    stage.world = replace(stage.world, job_kept_s=3_600)
    assert isinstance(stage.world.webhook_sender, ListWebhookSender)
    assert isinstance(stage.world.payloads, MemoryPayloads)
    stage.world.webhook_sender.receipts = [WebhookReceipt("status_500")] * 6
    job_id = await stage.ordered()
    if by == "its execution":
        await stage.carried_on(job_id)
        await stage.swept()
    else:
        for step in ("ask", "settle"):
            await stage.worked({"step": step, "tenant_id": "acme", "job_id": job_id})
        stage.executions.started[job_id] = False
        for _ in range(61):
            await stage.swept()
        assert (len(stage.messages), (await stage.job(job_id)).is_to_be_told) == (4, True)
    assert (stage.world.payloads.replies, (await stage.job(job_id)).result) == ({}, None)
    for _ in range(12):
        await stage.swept(later_s=3_600)
    assert (len(stage.messages), (await stage.job(job_id)).is_to_be_told) == (6, False)


async def test_it_goes_with_an_end_that_is_settled_late(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.step(ask, job_id)
    gateway.clock.unix_s += KEPT_S
    for _ in range(2):
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
