"""Jobs as their tenant finds them: listed, kept as long as promised, and nobody else's."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.entry.jobs import jobs_app
from gateway.job_ports import JobPage
from gateway.model.errors import JobInterrupted
from gateway.model.job import KEPT_S, Status
from gateway.pipeline.job_end import give_up
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import ask
from tests.asgi import call
from tests.fakes import key_hash, principal
from tests.unit.conftest import KEY, TENANT
from tests.unit.test_jobs import Gateway, gateway

__all__ = ["gateway"]


async def test_a_tenant_that_was_switched_off_asks_nobody(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    held = gateway.access.held[key_hash(KEY)]
    disabled = msgspec.structs.replace(held.tenant, status="disabled")
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, tenant=disabled)
    await gateway.step(ask, job_id)
    assert (await gateway.job(job_id)).error is not None
    assert gateway.provider.asked == 0


async def test_jobs_are_listed_newest_first_without_results(gateway: Gateway) -> None:
    ids = []
    for _ in range(3):
        gateway.clock.unix_s += 1
        ids.append(await gateway.accepted())
    await gateway.worked(ids[0])
    listed = (await gateway.send("GET", "/v1/jobs?limit=2")).json
    assert ([job["id"] for job in listed["data"]], listed["has_more"]) == ([ids[2], ids[1]], True)
    rest = (await gateway.send("GET", f"/v1/jobs?after={listed['last_id']}")).json
    assert [job["id"] for job in rest["data"]] == [ids[0]]
    assert rest["data"][0]["result"] is None
    completed = (await gateway.send("GET", "/v1/jobs?status=completed")).json
    assert [job["id"] for job in completed["data"]] == [ids[0]]
    assert (await gateway.send("GET", "/v1/jobs?status=odd")).status == 400
    assert (await gateway.send("GET", "/v1/jobs?after=odd")).status == 400


async def test_videos_are_among_the_jobs_by_their_age(gateway: Gateway) -> None:
    made: list[str] = []
    for number in range(6):
        gateway.clock.unix_s += 1
        job_id = await gateway.accepted()
        if number % 2:
            job = await gateway.job(job_id)
            job_id = job_id.replace("job_", "video_")
            await gateway.world.jobs.create(msgspec.structs.replace(job, id=job_id, operation="videos"), 0)
            del gateway.world.jobs.held["acme", job.id]  # type: ignore[attr-defined]
        made.insert(0, job_id)
    listed: list[str] = []
    more: dict[str, Any] = {"has_more": True, "last_id": None}
    while more["has_more"]:
        after = f"&after={more['last_id']}" if more["last_id"] else ""
        more = (await gateway.send("GET", f"/v1/jobs?limit=2{after}")).json
        listed += [job["id"] for job in more["data"]]
    assert listed == made


async def test_a_list_does_not_go_through_what_is_long_gone(gateway: Gateway) -> None:
    old = await gateway.accepted()
    await gateway.worked(old)
    gateway.clock.unix_s += 2 * 86_400 + 3_601
    young = await gateway.accepted()
    page, seen = gateway.world.jobs.page, list[str]()

    async def noted(tenant_id: str, limit: int, after: str | None, status: Status | None, until: str = "~") -> JobPage:
        found = await page(tenant_id, limit, after, status, until)
        seen.extend(job.id for job in found.jobs)
        return found

    gateway.world.jobs.page = noted  # type: ignore[method-assign]
    assert [job["id"] for job in (await gateway.send("GET", "/v1/jobs")).json["data"]] == [young]
    assert seen == [young]


async def test_a_reply_does_not_outlast_what_was_promised(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    gateway.clock.unix_s += KEPT_S - 1
    await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (await gateway.job(job_id)).result is not None
    gateway.clock.unix_s += 1
    await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (await gateway.job(job_id)).result is None
    assert (await gateway.send("GET", f"/v1/jobs/{job_id}")).status == 410
    gateway.clock.unix_s += 3_600
    assert (await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)).settled == 0


async def test_a_result_is_kept_a_day_and_remembered_a_week(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    gateway.clock.unix_s += KEPT_S
    gone = await gateway.send("GET", f"/v1/jobs/{job_id}")
    assert (gone.status, gone.json["error"]["code"]) == (410, "job_expired")
    gateway.clock.unix_s += 8 * 86_400
    assert (await gateway.send("GET", f"/v1/jobs/{job_id}")).status == 404


async def test_another_tenants_job_is_not_found(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    other = principal(msgspec.structs.replace(TENANT, id="other", approvals=("*",)))
    gateway.access.held[key_hash("gwk_other")] = other
    answer = await call(
        jobs_app(gateway.world), b"", {"authorization": "Bearer gwk_other"}, method="GET", path=f"/v1/jobs/{job_id}"
    )
    assert (answer.status, answer.json["error"]["code"]) == (404, "job_not_found")
    for odd in ("job_x", "video_1", "../T"):
        assert (await gateway.send("GET", f"/v1/jobs/{odd}")).status == 404


async def test_giving_up_ends_a_job_once(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.step(ask, job_id)
    ended = await give_up(await gateway.job(job_id), JobInterrupted("too late"), gateway.world)
    assert ended.status == "completed"
