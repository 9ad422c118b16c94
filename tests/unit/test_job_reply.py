"""How long a job's reply is kept, small or large, and what its tenant may do about it; in memory."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.job import KEPT_S
from gateway.pipeline.job_record import WORK_S
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import ask
from tests.fakes import MemoryFiles
from tests.unit.test_jobs import REPLY, Gateway, gateway

__all__ = ["gateway"]

LARGE = {**REPLY, "choices": [{**REPLY["choices"][0], "message": {"role": "assistant", "content": "x" * 70_000}}]}


def stored(gateway: Gateway) -> MemoryFiles:
    assert isinstance(gateway.world.files, MemoryFiles)
    return gateway.world.files


async def swept(gateway: Gateway) -> int:
    return (await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)).settled


async def test_the_file_of_a_large_reply_is_kept_as_long_as_a_small_one(gateway: Gateway) -> None:
    gateway.provider.reply = LARGE
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    ((file, _),) = stored(gateway).whole.values()
    assert file.expires_at_s is not None
    assert 0 <= file.expires_at_s - (await gateway.job(job_id)).expires_at_s <= WORK_S
    gateway.clock.unix_s += KEPT_S - 1
    assert (await gateway.shown(job_id))["result"]["url"]
    await swept(gateway)
    assert len(stored(gateway).whole) == 1
    gateway.clock.unix_s += 1
    assert await swept(gateway) == 1
    assert (stored(gateway).whole, (await gateway.job(job_id)).result) == ({}, None)
    gateway.clock.unix_s += 3_600
    assert await swept(gateway) == 0


@pytest.mark.parametrize("reply", [REPLY, LARGE])
async def test_who_deletes_an_ended_job_deletes_its_reply(gateway: Gateway, reply: Any) -> None:
    gateway.provider.reply = reply
    job_id = await gateway.accepted()
    cost = (await gateway.worked(job_id))["cost_estimate"]
    for _ in range(2):
        deleted = await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        assert (deleted.status, deleted.json["status"], deleted.json["result"]) == (200, "completed", None)
    shown = await gateway.shown(job_id)
    assert (shown["status"], shown["result"], shown["cost_estimate"]) == ("completed", None, cost)
    assert stored(gateway).whole == {}
    assert len(gateway.costs) == 1


@pytest.mark.parametrize("reply", [REPLY, LARGE])
async def test_who_cancels_an_ended_job_leaves_its_reply(gateway: Gateway, reply: Any) -> None:
    gateway.provider.reply = reply
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    cancelled = (await gateway.send("POST", f"/v1/jobs/{job_id}/cancel")).json
    assert cancelled["status"] == "completed" and cancelled["result"]["status_code"] == 200


async def test_an_end_that_was_not_settled_is_before_its_reply_is_deleted(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.step(ask, job_id)
    assert gateway.holds == 2
    assert (await gateway.send("DELETE", f"/v1/jobs/{job_id}")).json["result"] is None
    assert (gateway.holds, list(gateway.ends.values())) == (0, ["request.completed"])
