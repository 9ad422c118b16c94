"""Mistral's batches: files and results as OpenAI has them, made into jobs of one model.

Sources: https://docs.mistral.ai/capabilities/batch/, with the paths and states of
https://github.com/mistralai/client-python (2026-11). What is left of a job that was cancelled or ran out of time is
documented nowhere: its files, where it names any.
"""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from gateway.model.call import Call
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.providers.contract import Answered, BatchCounts, BatchLimits, BatchState, BatchStatus, Step, Target
from gateway.providers.wire.batch_items import as_item
from gateway.providers.wire.openai_batch import MAX_RECENT, OpenAiBatch, Trouble, read_answer, why_refused

TIMEOUT_HOURS = 24
LIMITS = BatchLimits(items=1_000_000, size_bytes=512 * 10**6, window_s=TIMEOUT_HOURS * 3600)
STATUSES: dict[str, BatchStatus] = {
    "QUEUED": "pending",
    "RUNNING": "running",
    "CANCELLATION_REQUESTED": "running",
    "SUCCESS": "completed",
    "FAILED": "failed",
    "TIMEOUT_EXCEEDED": "expired",
    "CANCELLED": "cancelled",
}
_JSON = {"content-type": "application/json", "accept": "application/json"}
_READ = {"accept": "application/json"}

C = TypeVar("C", bound=Call)
R = TypeVar("R", bound=Answered)


class Job(Struct):
    """`errors`: of the job as a whole, each once."""

    id: str
    status: str
    errors: list[Trouble] = field(default_factory=list)
    output_file: str | None = None
    error_file: str | None = None
    total_requests: int = 0
    succeeded_requests: int = 0
    failed_requests: int = 0


_JOB = msgspec.json.Decoder(Job)


class MistralBatch(OpenAiBatch[C, R], frozen=True):
    """An item is a body alone: the job says for which endpoint."""

    limits: BatchLimits = LIMITS
    expires: bool = False

    def piece(self, item_id: str, call: C, target: Target) -> bytes:
        body = self.wire.render(as_item(call, target, self.limits), target).body
        return b'{"custom_id":%b,"body":%b}' % (msgspec.json.encode(item_id), body)

    def create(self, file: str | None, label: str, target: Target) -> Step:
        body = {
            "input_files": [file],
            "model": target.model.id,
            "endpoint": self.endpoint,
            "timeout_hours": TIMEOUT_HOURS,
            "metadata": {"label": label},
        }
        return HttpRequest("POST", f"{target.base_url}/batch/jobs", _JSON, msgspec.json.encode(body))

    def recent(self, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{target.base_url}/batch/jobs?page_size={MAX_RECENT}", _READ)

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("GET", _job(remote_id, target), _READ)

    def state(self, answer: HttpResponse, target: Target) -> BatchState:
        job = read_answer(_JOB, answer, target)
        status = STATUSES.get(job.status)
        if status is None:
            raise ProviderError(f"{target.provider} sent something that is no state of a batch.")
        return BatchState(
            job.id,
            status,
            BatchCounts(job.total_requests, job.succeeded_requests, job.failed_requests),
            tuple(output for output in (job.output_file, job.error_file) if output),
            is_cancelling=job.status == "CANCELLATION_REQUESTED",
            failure=why_refused(job.errors, target) if status == "failed" else None,
        )

    def cancel(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("POST", f"{_job(remote_id, target)}/cancel", _READ)


def _job(remote_id: str, target: Target) -> str:
    return f"{target.base_url}/batch/jobs/{quote(remote_id, safe='')}"
