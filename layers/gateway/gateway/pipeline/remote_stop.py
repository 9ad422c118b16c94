"""Telling a provider that nobody wants any more what it has begun."""

from __future__ import annotations

import asyncio

from gateway.model.errors import GatewayError
from gateway.model.http import HttpResponse
from gateway.model.job import Job
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.remote_attempt import attempt_of
from gateway.ports import World

STOP_TIMEOUT_S = 10.0


async def stop(job: Job, world: World) -> tuple[HttpResponse, Contact] | None:
    """What it says to that, where it can be stopped. Never raises: what it does not hear, it finishes, and is paid for
    as well.
    """
    remote_id = job.remote.id if job.remote else None
    if remote_id is None:
        return None
    try:
        reached = await contact(attempt_of(job, world), world)
        request = reached.route.wire.cancel(remote_id, reached.target)
        if request is None:
            return None
        async with asyncio.timeout(STOP_TIMEOUT_S):
            return await reached.answer(request, world, reached.route.wire.fail), reached
    except (GatewayError, TimeoutError) as error:
        world.records.trouble("job.not_cancelled", request_id=job.request_id, reason=str(error))
        return None
