"""From a job's record to the object that its tenant receives."""

from __future__ import annotations

from posixpath import dirname, relpath
from typing import Any

import msgspec

from gateway.job_ports import JobPage
from gateway.model.batch import batch_of, is_batch, status_of
from gateway.model.job import Job
from gateway.model.job_view import JobList, JobView, JobWebhook
from gateway.model.money import NANO_PER_USD
from gateway.model.webhook import Webhook

FIRST_LOOK_S = 2
"""What a client is told to wait before it asks how its job gets on."""


TOLD = ("id", "object", "status", "endpoint", "model", "request_id", "created_at", "finished_at", "expires_at")
"""Of a job, by its webhook."""


def poll_headers(job: Job) -> dict[str, str]:
    return {} if job.has_ended else {"retry-after": str(FIRST_LOOK_S)}


def place_headers(job: Job, path: str, *, is_preferred: bool) -> dict[str, str]:
    """Of the answer that a request has become a job. `path`: of its route; the place is told from there, for before it
    may stand the stage of an API or whatever else a client has in its base URL. `is_preferred`: whether a header asked.
    """
    applied = {"preference-applied": "respond-async"} if is_preferred else {}
    return {"location": relpath(f"/v1/jobs/{job.id}", dirname(path)), **applied, **poll_headers(job)}


def job_list(page: JobPage) -> JobList:
    """Without results, which are asked for one by one."""
    data = [without_result(job) for job in page.jobs]
    first_id, last_id = (data[0].id, data[-1].id) if data else (None, None)
    return JobList(data=data, first_id=first_id, last_id=last_id, has_more=page.has_more)


def without_result(job: Job) -> JobView:
    cost = job.cost_nano_usd if job.has_ended else None
    return JobView(
        id=job.id,
        status=job.status,
        endpoint=job.endpoint,
        model=job.model,
        request_id=job.request_id,
        created_at=job.created_at_s,
        started_at=job.started_at_s,
        finished_at=job.finished_at_s,
        expires_at=job.expires_at_s,
        progress=job.progress,
        error=job.error,
        usage=job.usage,
        cost_estimate=None if cost is None else cost / NANO_PER_USD,
        webhook=None if job.webhook is None else webhook_view(job.webhook),
    )


def webhook_view(webhook: Webhook) -> JobWebhook:
    """Without the URL, which may open something."""
    return JobWebhook(status=webhook.status, attempts=webhook.tries, last_failure=webhook.failure)


def event_data(job: Job) -> dict[str, Any]:
    """What is told of a job that has ended: of its error the code, for the message may quote what was asked."""
    if is_batch(job):
        return _batch_data(job)
    shown = msgspec.to_builtins(without_result(job))
    error = None if job.error is None else {"code": job.error["code"]}
    return {**{name: shown[name] for name in TOLD}, "error": error}


def _batch_data(job: Job) -> dict[str, Any]:
    batch = batch_of(job)
    totals = batch.totals
    return {
        "id": job.id,
        "object": "batch",
        "status": status_of(job, batch),
        "endpoint": batch.endpoint,
        "request_id": job.request_id,
        "created_at": job.created_at_s,
        "finished_at": job.finished_at_s,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "completed": 0 if totals is None else totals.completed,
        "failed": 0 if totals is None else totals.failed + totals.cancelled,
        "error": None if job.error is None else {"code": job.error["code"]},
    }
