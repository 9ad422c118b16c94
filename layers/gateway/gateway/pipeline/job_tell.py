"""The caller is told that a job has ended: after its bill, at least once, and always under the same id.

The record says where, until that is done or nobody tries any more. What became of it stays there without the URL.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from random import uniform
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec.structs import replace as with_members

from gateway.model.batch import batch_of, is_batch, status_of
from gateway.model.errors import StorageUnavailable
from gateway.model.job import Job
from gateway.model.job_view import JobEvent
from gateway.model.webhook import Webhook, WebhookMessage, WebhookReceipt
from gateway.pipeline.job_end import due_of, principal_of
from gateway.pipeline.job_record import BUSY, TRIES
from gateway.pipeline.job_respond import event_data
from gateway.ports import World

AGAIN_S = (5, 60, 600, 3_600, 21_600)
"""How long is waited after each try that failed, and up to a fifth more: so not all come at once. Then none follows."""
MAX_WAIT_S = AGAIN_S[-1]
"""The most that a receiver can have us wait."""
TELLING_S = 24 * 3600
"""After a job's end, when nobody tries any more, whatever stood in the way."""
ToDo: TypeAlias = Literal["tell", "tell later", "nothing"]


def to_do(job: Job, now_s: float) -> tuple[ToDo, int]:
    """What is left to do for a job's caller, and after how many seconds. The words are in `job.asl.json`."""
    if not job.has_ended or job.webhook is None or job.webhook.url is None:
        return "nothing", 0
    wait_s = math.ceil(job.webhook.again_at_s - now_s)
    return ("tell later", wait_s) if wait_s > 0 else ("tell", 0)


async def tell(job: Job, world: World) -> Job:
    """The job with what came of one try; as it is where nobody is to be told, or not yet.

    Raises StorageUnavailable and AdmissionUnavailable (503): it may be repeated as often as it takes.
    """
    now_s, url = world.clock.now_s(), None if job.webhook is None else job.webhook.url
    if url is None or to_do(job, now_s)[0] != "tell":
        return job
    if now_s >= (job.finished_at_s or 0) + TELLING_S:
        return await _noted(job, WebhookReceipt("too_late", is_final=True), world)
    principal = await principal_of(job, world)
    message = _message(job, url, principal.tenant.webhooks.versions(now_s))
    return await _noted(job, await world.webhook_sender.send(message), world)


def _end_of(job: Job) -> str:
    return status_of(job, batch_of(job)) if is_batch(job) else job.status


def _message(job: Job, url: str, versions: tuple[int, ...]) -> WebhookMessage:
    """The same for every try."""
    name = f"{'batch' if is_batch(job) else 'job'}.{_end_of(job)}"
    ended = datetime.fromtimestamp(job.finished_at_s or 0, UTC).isoformat().replace("+00:00", "Z")
    body = msgspec.json.encode(JobEvent(type=name, timestamp=ended, data=event_data(job)))
    return WebhookMessage(f"{job.id}.{job.status}", job.tenant_id, versions, url, body)


async def _noted(job: Job, receipt: WebhookReceipt, world: World) -> Job:
    """Raises StorageUnavailable (503): then it is told again."""
    for _ in range(TRIES):
        if job.webhook is None or job.webhook.url is None:
            return job  # somebody else told it meanwhile
        now_s = world.clock.now_s()
        noted = job.changed(webhook=_after(job.webhook, receipt, now_s))
        if await world.jobs.change(noted, due_of(noted, now_s)):
            _report(noted, world)
            return noted
        job = await world.jobs.get(job.tenant_id, job.id)
    raise StorageUnavailable(BUSY)


def _after(webhook: Webhook, receipt: WebhookReceipt, now_s: float) -> Webhook:
    tried = with_members(webhook, tries=webhook.tries + 1, failure=receipt.failure, again_at_s=0)
    if receipt.failure is None or receipt.is_final or tried.tries > len(AGAIN_S):
        return with_members(tried, url=None)
    pause_s = AGAIN_S[tried.tries - 1] * uniform(1, 1.2)  # noqa: S311 - nobody gains by guessing it
    return with_members(tried, again_at_s=now_s + max(pause_s, min(receipt.wait_s, MAX_WAIT_S)))


def _report(job: Job, world: World) -> None:
    webhook = job.webhook
    if webhook is None or webhook.failure is None:
        return
    facts: dict[str, Any] = {"job_id": job.id, "request_id": job.request_id, "tenant_id": job.tenant_id}
    facts |= {"tries": webhook.tries, "cause": webhook.failure}
    if webhook.url is None:
        world.records.trouble("webhook.given_up", **facts)
    else:
        world.records.trouble("webhook.failed", **facts)
