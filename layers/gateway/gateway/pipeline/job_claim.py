"""The job that an Idempotency-Key stands for, from the first order that came with it."""

from __future__ import annotations

from hashlib import sha256

from gateway.model.errors import IdempotencyConflict, InvalidRequest, JobNotFound
from gateway.model.job import Claim, Job
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_found import found
from gateway.ports import World

MAX_KEY = 255


async def ordered_before(inbound: Inbound, tenant_id: str, world: World) -> Job | None:
    """The job, None when there is none yet.

    Raises IdempotencyConflict (409) when the key stands for another request, InvalidRequest (400) for one that is too
    long; for a job that is there no more what whoever asks for it is told: JobExpired (410), JobNotFound (404).
    """
    claim = await world.jobs.claimed(tenant_id, _key_hash(inbound))
    return None if claim is None else await _job_of(claim, inbound, tenant_id, world)


async def claimed(job: Job, inbound: Inbound, world: World) -> Job | str:
    """The job that the key stands for already, or the id that it has yet to be made under, here or where the first who
    came with the key died. Raises as `ordered_before`.
    """
    own = Claim(job_id=job.id, request_hash=_request_hash(inbound))
    claim = await world.jobs.claim(job.tenant_id, _key_hash(inbound), own, job.expires_at_s)
    if claim == own:
        return job.id
    return await _job_of(claim, inbound, job.tenant_id, world) or claim.job_id


async def _job_of(claim: Claim, inbound: Inbound, tenant_id: str, world: World) -> Job | None:
    if claim.request_hash != _request_hash(inbound):
        raise IdempotencyConflict("This Idempotency-Key was used with another request.")
    try:
        job = await world.jobs.get(tenant_id, claim.job_id)
    except JobNotFound:
        return None
    return found(job, world.clock.now_s(), param="Idempotency-Key")


def _key_hash(inbound: Inbound) -> str:
    if len(inbound.idempotency_key) > MAX_KEY:
        raise InvalidRequest(f"An Idempotency-Key has at most {MAX_KEY} characters.", param="Idempotency-Key")
    return sha256(inbound.idempotency_key.encode()).hexdigest()


def _request_hash(inbound: Inbound) -> str:
    return sha256(f"{inbound.path}\n{inbound.content_type}\n".encode() + inbound.body).hexdigest()
