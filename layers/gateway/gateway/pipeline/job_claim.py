"""The job that an Idempotency-Key stands for, from the first order that came with it."""

from __future__ import annotations

from gateway.model.claim import Claim
from gateway.model.errors import JobNotFound
from gateway.model.idempotency_errors import IdempotencyConflict
from gateway.model.job import Job
from gateway.pipeline.idempotency_key import key_hash, request_hash
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_found import found
from gateway.ports import World


async def ordered_before(inbound: Inbound, tenant_id: str, world: World) -> Job | None:
    """The job, None when there is none yet. Raises StorageUnavailable (503) and as `job_behind`."""
    claim = await world.claims.find(tenant_id, key_hash(inbound), world.clock.now_s())
    return None if claim is None else await job_behind(claim, inbound, tenant_id, world)


async def claimed(job: Job, inbound: Inbound, world: World) -> Job | str:
    """The job that the key stands for already, or the id that it has yet to be made under, here or where the first who
    came with the key died. Raises as `ordered_before`.
    """
    hashed, request_id = request_hash(inbound), job.request_id
    own = Claim(request_hash=hashed, request_id=request_id, ends_at_s=job.expires_at_s, job_id=job.id)
    claim = await world.claims.claim(job.tenant_id, key_hash(inbound), own, world.clock.now_s())
    if claim == own:
        return job.id
    return await job_behind(claim, inbound, job.tenant_id, world) or claim.job_id or job.id


async def job_behind(claim: Claim, inbound: Inbound, tenant_id: str, world: World) -> Job | None:
    """The claim's job, also one that is hidden yet; None for one that was never made.

    Raises IdempotencyConflict (409) when the key stands for another request; for a job that is there no more what
    whoever asks for it is told: JobExpired (410), JobNotFound (404).
    """
    if claim.request_hash != request_hash(inbound) or claim.job_id is None:
        raise IdempotencyConflict(first_request_id=claim.request_id)
    try:
        job = await world.jobs.get(tenant_id, claim.job_id)
    except JobNotFound:
        return None
    return job if job.is_hidden else found(job, world.clock.now_s(), param="Idempotency-Key")
