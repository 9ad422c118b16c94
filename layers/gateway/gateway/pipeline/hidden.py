"""A job of which its tenant was not told, for its request waits and may yet be answered at once."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace as with_members

from gateway.model.errors import JobInterrupted
from gateway.model.job import HIDDEN, Job
from gateway.model.tenant import Tenant
from gateway.model.webhook import Webhook
from gateway.pipeline.handed_over import take_as_it_stands
from gateway.pipeline.job_causes import NOT_ASKED
from gateway.pipeline.job_end import exchange_of, give_up
from gateway.ports import World


def hidden(job: Job) -> Job:
    """Nobody is told of its end."""
    return with_members(job, webhook=None, facts={**job.facts, HIDDEN: True})


def shown(job: Job, tenant: Tenant, **changes: Any) -> Job:
    """The next revision, of which its tenant may know, and is told."""
    if not job.is_hidden:
        return job.changed(**changes)
    facts = {name: value for name, value in job.facts.items() if name != HIDDEN}
    url = tenant.webhooks.url
    return job.changed(facts=facts, webhook=None if url is None else Webhook(url=url), **changes)


async def never_asked(job: Job, world: World) -> Job:
    """The end of one whose request died before a provider was asked; that costs nothing. Where nothing is held any more
    the request was answered that there is none, and has told so. Raises StorageUnavailable, AdmissionUnavailable (503).
    """
    ticket = (await exchange_of(job, world)).ticket
    if ticket is not None:
        await take_as_it_stands(ticket)
    error, now_s = JobInterrupted(NOT_ASKED), world.clock.now_s()
    if ticket is not None and ticket.entries:
        return await give_up(job, error, world)
    told = error.wire(job.request_id)["error"]
    ended = job.ended("failed", now_s, world.job_kept_s, request=None, held=None, error=told)
    if await world.jobs.change(ended):
        return ended
    return await world.jobs.get(job.tenant_id, job.id)
