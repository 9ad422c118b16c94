"""A job as its tenant sees it. Never the request: that is gone when the job has ended."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from gateway.model.job import Status


class ResultView(Struct, kw_only=True):
    """`body`: the reply that the request would have had; in place of a large one the file that has it, and a link."""

    status_code: int
    content_type: str
    body: Any | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    url_expires_at: int | UnsetType = UNSET


class JobWebhook(Struct, kw_only=True):
    """Whether the job's end is told. `attempts`: so far. `last_failure`: a code; null where the last one was taken."""

    status: Literal["pending", "delivered", "failed"]
    attempts: int
    last_failure: str | None


class JobView(Struct, kw_only=True):
    """Times in Unix seconds. `expires_at`: when it fails if it has not ended by then, later when its result is gone.

    `cost_estimate`: USD, None when the price is unknown or nothing has been spent yet.
    """

    id: str
    object: Literal["job"] = "job"
    status: Status
    endpoint: str
    model: str
    request_id: str
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    expires_at: int
    progress: int | None = None
    result: ResultView | None = None
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    cost_estimate: float | None = None
    webhook: JobWebhook | None = None


class JobList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[JobView]
    first_id: str | None
    last_id: str | None
    has_more: bool


class JobEvent(Struct, kw_only=True):
    """The body of a webhook. `type`: "job.completed", "job.failed", "job.cancelled". `timestamp`: of the end, ISO 8601.
    `data`: the job, without anything that was asked or answered.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    type: str
    timestamp: str
    data: dict[str, Any]
