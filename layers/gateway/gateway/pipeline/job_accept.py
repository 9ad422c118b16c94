"""A request that is to run as a job: it was admitted, it is written down, and its caller has the job's id."""

from __future__ import annotations

import secrets
from typing import Any, Protocol

from msgspec.structs import replace as with_members

from gateway.model.errors import (
    AdmissionUnavailable,
    JobNotFound,
    StorageUnavailable,
)
from gateway.model.job import LONGEST_S, Job, JobRequest, RemoteWork, new_job_id
from gateway.pipeline.authenticate import key_hash_of
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.handed_over import held_of, still_held
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_claim import claimed
from gateway.pipeline.job_webhook import check_webhook, webhook_of
from gateway.ports import World

_KINDS = {"videos": "video", "batches": "batch"}
START_AGAIN_S = 30
"""After which an execution that could not be started is started by the sweeper."""


class Order(Protocol):
    """What a call says of the job that it is to become."""

    @property
    def model(self) -> str: ...

    @property
    def async_(self) -> bool | None: ...

    @property
    def webhook_url(self) -> str | None: ...


async def accepted(call: Order, inbound: Inbound, exchange: Exchange, world: World, **kept: Any) -> Job | None:
    """The job that an admitted request becomes; None for one that is to be answered now, or that runs as a job here, or
    as a line of a batch.

    What is held for the request is the job's from then on. `kept`: what else the capability has in its record.
    Raises StorageUnavailable (503), and InvalidRequest (400) for a webhook's URL: then there is no job.
    """
    if exchange.is_admitted:
        return None
    check_webhook(call, world)
    if exchange.ordered is not None:
        return exchange.ordered
    if not call.async_:
        return None
    job = job_of(call, inbound, exchange, world, **kept)
    if inbound.idempotency_key:
        known = await claimed(job, inbound, world)
        if isinstance(known, Job):
            return known
        job = with_members(job, id=known)
    await world.payloads.put(job, inbound.body)
    made = await created(job, job.created_at_s + START_AGAIN_S, world)
    if made.request_id != job.request_id:
        return made  # of another who came with the same key at the same time
    exchange.job_id, exchange.goes_on = job.id, True
    await _prolong(job, exchange, world)
    await started(job, world)
    return job


async def created(job: Job, due_at_s: int, world: World) -> Job:
    """The job that there is now: where no answer came the record says it.

    Raises StorageUnavailable (503) also when nobody can tell: then what is held is given back, without which no worker
    asks a provider.
    """
    try:
        await world.jobs.create(job, due_at_s)
    except StorageUnavailable as unanswered:
        try:
            return await world.jobs.get(job.tenant_id, job.id)
        except JobNotFound:
            raise unanswered from None
    return job


async def _prolong(job: Job, exchange: Exchange, world: World) -> None:
    """What cannot be now, the worker does before anything else."""
    ticket = exchange.ticket
    if ticket is None or ticket.ledger is not world.ledger:
        return
    try:
        await still_held(ticket, job.expires_at_s)
    except AdmissionUnavailable as error:
        world.records.trouble("job.not_prolonged", request_id=job.request_id, job_id=job.id, reason=error.message)


async def started(job: Job, world: World) -> None:
    """What cannot be started now is started by the sweeper: the record is the queue."""
    try:
        await world.executions.start(job)
    except StorageUnavailable as error:
        world.records.trouble("job.not_started", request_id=job.request_id, job_id=job.id, reason=error.message)


def job_of(
    call: Order, inbound: Inbound, exchange: Exchange, world: World, remote: RemoteWork | None = None, facts: Any = None
) -> Job:
    principal, now_s = exchange.principal, world.clock.now_s()
    assert principal is not None  # noqa: S101 - it was admitted
    kind = _KINDS.get(exchange.operation, "job")
    return Job(
        id=new_job_id(now_s, secrets.token_bytes(10), kind),
        tenant_id=principal.tenant.id,
        user_id=principal.user.id,
        key_id=principal.key.id,
        request_id=exchange.request_id,
        endpoint=inbound.path,
        operation=exchange.operation,
        model=exchange.model_requested or call.model,
        status="pending",
        created_at_s=int(now_s),
        expires_at_s=int(now_s) + LONGEST_S,
        held=held_of(exchange, world),
        remote=remote,
        request=JobRequest(
            content_type=inbound.content_type,
            key_hash=key_hash_of(inbound.authorization),
            scopes=principal.key.scopes,
            models=principal.key.models,
        ),
        webhook=webhook_of(call, principal.tenant),
        facts={"conversation_id": exchange.conversation_id, "trace_id": exchange.trace.id, **(facts or {})},
    )
