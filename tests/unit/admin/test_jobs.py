"""/admin/jobs: who owns a job, and where it is carried on."""

from __future__ import annotations

import httpx

from gateway.model.job import Job, new_job_id
from tests.unit.admin.conftest import Office

NOW_S = 1_790_000_000


def waiting() -> Job:
    return Job(
        id=new_job_id(NOW_S, bytes(10)),
        tenant_id="acme",
        user_id="alice",
        key_id="key_1",
        request_id="req_1",
        endpoint="/v1/embeddings",
        operation="embeddings",
        model="openai/text-embedding-3-small",
        status="pending",
        created_at_s=NOW_S,
        expires_at_s=NOW_S + 86_400,
    )


async def test_a_job_that_is_not_started_yet(client: httpx.AsyncClient, office: Office) -> None:
    """That is when an operator looks for it."""
    job = waiting()
    await office.jobs.create(job, NOW_S)
    told = (await client.get(f"/jobs/{job.id}")).json()
    assert (told["id"], told["tenant_id"], told["status"]) == (job.id, "acme", "pending")


async def test_a_job_and_where_it_is_carried_on(client: httpx.AsyncClient, office: Office) -> None:
    job = waiting()
    await office.jobs.create(job, NOW_S)
    await office.executions.start(job)
    answer = await client.get(f"/jobs/{job.id}")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["id"], told["tenant_id"], told["status"], told["result"]) == (job.id, "acme", "pending", None)
    assert told["execution_arn"].endswith(f":{job.id}")
    assert told["console_url"].startswith("https://")


async def test_a_job_that_there_is_not(client: httpx.AsyncClient) -> None:
    for odd in (new_job_id(NOW_S, bytes(10)), "x"):
        answer = await client.get(f"/jobs/{odd}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")
