"""One job as the administrator sees it: without its result, with the place where it is carried on."""

from __future__ import annotations

import msgspec

from gateway.admin_ports import AdminWorld
from gateway.model.errors import JobNotFound
from gateway.model.job import is_job_id
from gateway.pipeline.carry_out import Answer
from gateway.pipeline.job_respond import without_result


async def job_of(job_id: str, world: AdminWorld) -> Answer:
    """Raises JobNotFound (404), StorageUnavailable (503)."""
    tenant_id = await _tenant_of(job_id, world) if is_job_id(job_id) else None
    if tenant_id is None:
        raise JobNotFound(f"No such job: '{job_id[:64]}'.", param="job_id")
    job, place = await world.jobs.get(tenant_id, job_id), world.executions.place(job_id)
    shown = msgspec.to_builtins(without_result(job))
    owner = {"tenant_id": tenant_id, "user_id": job.user_id, "key_id": job.key_id}
    return Answer(200, {**shown, **owner, "execution_arn": place.arn, "console_url": place.console_url})


async def _tenant_of(job_id: str, world: AdminWorld) -> str | None:
    """By its execution; one that has none yet is among those that wait."""
    return await world.executions.tenant_of(job_id) or await world.jobs.tenant_of_waiting(job_id)
