"""A batch as its tenant sees it: OpenAI's object, and some members of this gateway.

Source: https://platform.openai.com/docs/api-reference/batch/object
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from gateway.model.batch import BatchError, BatchStatus, Processing
from gateway.model.job_view import JobWebhook


class RequestCounts(Struct, kw_only=True):
    """`failed`: with those that were cancelled, or not asked in time."""

    total: int
    completed: int
    failed: int


class LineCounts(Struct, kw_only=True):
    """By state. `in_progress`: perhaps asked, and not ended."""

    pending: int
    in_progress: int
    completed: int
    failed: int
    cancelled: int


class BatchInputDetails(Struct, kw_only=True):
    cached_tokens: int


class BatchOutputDetails(Struct, kw_only=True):
    reasoning_tokens: int


class BatchUsage(Struct, kw_only=True):
    input_tokens: int
    input_tokens_details: BatchInputDetails
    output_tokens: int
    output_tokens_details: BatchOutputDetails
    total_tokens: int


class ErrorList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[BatchError]


class BatchView(Struct, kw_only=True):
    """Times in Unix seconds. `cost_estimate`: USD, so far. `models`: those that its lines ask."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str | None
    errors: ErrorList | None
    input_file_id: str | None
    completion_window: str
    status: BatchStatus
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    metadata: dict[str, str] | None
    usage: BatchUsage | None
    counts: LineCounts
    models: list[str]
    cost_estimate: float | None
    processing: Processing
    request_id: str
    error: dict[str, Any] | None = None
    webhook: JobWebhook | None = None


class BatchList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[BatchView]
    first_id: str | None
    last_id: str | None
    has_more: bool
