"""A job of which its tenant was not told, for its request waits and may yet be answered at once."""

from __future__ import annotations

from msgspec.structs import replace as with_members

from gateway.model.job import HIDDEN, Job
from gateway.model.tenant import Tenant
from gateway.model.webhook import Webhook


def hidden(job: Job) -> Job:
    """Nobody is told of its end."""
    return with_members(job, webhook=None, facts={**job.facts, HIDDEN: True})


def shown(job: Job, tenant: Tenant) -> Job:
    """As it is to be written when its tenant may know of it, and is told of its end."""
    if not job.is_hidden:
        return job
    facts = {name: value for name, value in job.facts.items() if name != HIDDEN}
    url = tenant.webhooks.url
    return with_members(job, facts=facts, webhook=None if url is None else Webhook(url=url))
