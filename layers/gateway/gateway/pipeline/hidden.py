"""A job of which its tenant was not told, for its request waits and may yet be answered at once."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace as with_members

from gateway.model.job import HIDDEN, Job
from gateway.model.tenant import Tenant
from gateway.model.webhook import Webhook


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
