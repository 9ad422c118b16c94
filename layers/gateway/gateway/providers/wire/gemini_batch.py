"""Gemini's batches: a file of requests is uploaded, a batch made of it, and a file of results comes back.

Sources: https://ai.google.dev/gemini-api/docs/batch-api, https://ai.google.dev/api/batch-api (2026-11), with the names
of https://github.com/googleapis/python-genai. Nothing is told of an item before the batch is over, and nothing is left
of one that expired. Files expire after 48 hours by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from gateway.model.call import Call
from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.providers.contract import (
    Answered,
    BatchCounts,
    BatchLimits,
    BatchResult,
    BatchState,
    BatchStatus,
    Carrier,
    Frame,
    Step,
    Target,
)
from gateway.providers.wire.batch_items import (
    UNREADABLE,
    ItemWire,
    LineResults,
    answered,
    as_item,
    given,
    nonsense,
    undone,
    unread,
)
from gateway.providers.wire.failures import without_model
from gateway.providers.wire.gemini import resource_name
from gateway.providers.wire.gemini_failures import failure_of
from gateway.providers.wire.gemini_files import FINALIZE, announcement, file_in, upload_url
from gateway.providers.wire.json_lines import JsonLines

LIMITS = BatchLimits(items=None, size_bytes=2 * 10**9, window_s=2 * 86_400)
CONTENT_TYPE = "application/jsonl"
STATUSES: dict[str, BatchStatus] = {
    "UNSPECIFIED": "pending",
    "PENDING": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}
CANCELLED = 1
MAX_RECENT = 100
HTTP_STATUSES = {3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503, 16: 401}
"""Of google.rpc.Code, as https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto maps them; 500 of
all others."""
_STATE = re.compile(r"(?:BATCH|JOB)_STATE_([A-Z]+)")
_FILE = re.compile(r"files/[A-Za-z0-9_-]{1,128}")
_JSON = {"content-type": "application/json"}

C = TypeVar("C", bound=Call)
R = TypeVar("R", bound=Answered)


class Status(Struct):
    """google.rpc.Status; where a `code` is that of HTTP, it is above all of google.rpc.Code."""

    code: int = 0
    message: str = ""

    @property
    def http_status(self) -> int:
        return self.code if self.code >= 400 else HTTP_STATUSES.get(self.code, 500)


class Stats(Struct, frozen=True, rename="camel"):
    """Counts are written as texts."""

    request_count: str | int = 0
    successful_request_count: str | int = 0
    failed_request_count: str | int = 0


class Output(Struct, rename="camel"):
    responses_file: str | None = None


class Metadata(Struct, rename="camel"):
    state: str = "BATCH_STATE_UNSPECIFIED"
    batch_stats: Stats = Stats()
    output: Output | None = None
    display_name: str | None = None


class Operation(Struct):
    """`name`: "batches/{id}"."""

    name: str
    metadata: Metadata
    response: Output | None = None
    error: Status | None = None


class Recent(Struct):
    operations: list[Operation] = msgspec.field(default_factory=list)


class Line(Struct):
    key: str
    response: Raw = Raw(b"")
    error: Raw = Raw(b"")


class Named(Struct, rename={"custom_id": "key"}):
    custom_id: str


_OPERATION = msgspec.json.Decoder(Operation)
_RECENT = msgspec.json.Decoder(Recent)
_LINE = msgspec.json.Decoder(Line)
_NAMED = msgspec.json.Decoder(Named)
_STATUS = msgspec.json.Decoder(Status)


class GeminiBatch(msgspec.Struct, Generic[C, R], frozen=True):
    """`wire`: of one item. `method`: what makes a batch of such items."""

    wire: ItemWire[C, R]
    method: str = "batchGenerateContent"
    limits: BatchLimits = LIMITS
    frame: Frame = Frame()

    def piece(self, item_id: str, call: C, target: Target) -> bytes:
        body = self.wire.render(as_item(call, target, self.limits), target).body
        return b'{"key":%b,"request":%b}' % (msgspec.json.encode(item_id), body)

    def upload(self, input_bytes: int, target: Target, _noise: str) -> Step:
        return announcement(input_bytes, CONTENT_TYPE, target)

    def follow(self, answer: HttpResponse, _input_bytes: int, target: Target) -> Step | str:
        if answer.headers.get("x-goog-upload-status") == "active":
            return Carrier(HttpRequest("POST", upload_url(answer, target), dict(FINALIZE)))
        return file_in(answer, target.provider).name

    def create(self, file: str | None, label: str, target: Target) -> Step:
        batch: Json = {"displayName": label, "inputConfig": {"fileName": file}}
        url = f"{target.base_url}/v1beta/{resource_name(target.model.id)}:{self.method}"
        return HttpRequest("POST", url, _JSON, msgspec.json.encode({"batch": batch}))

    def recent(self, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{target.base_url}/v1beta/batches?pageSize={MAX_RECENT}", {})

    def labelled(self, answer: HttpResponse, label: str, target: Target) -> str | None:
        try:
            found = _RECENT.decode(answer.body).operations
        except UNREADABLE:
            raise ProviderError(f"{target.provider} sent something that is no list of batches.") from None
        return next((one.name for one in found if one.metadata.display_name == label), None)

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("GET", _batch(remote_id, target), {})

    def state(self, answer: HttpResponse, target: Target) -> BatchState:
        try:
            operation = _OPERATION.decode(answer.body)
            counts = _counts(operation.metadata.batch_stats)
        except (*UNREADABLE, ValueError):
            raise ProviderError(f"{target.provider} sent something that is no batch.") from None
        said = _STATE.fullmatch(operation.metadata.state)
        status = STATUSES.get(said[1]) if said else None
        if status is None:
            raise ProviderError(f"{target.provider} sent something that is no state of a batch.")
        output = operation.response or operation.metadata.output or Output()
        failure = _failure(operation.error or Status(), target) if status == "failed" else None
        outputs = (output.responses_file,) if output.responses_file else ()
        return BatchState(operation.name, status, counts, outputs, failure=failure)

    def cancel(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("POST", f"{_batch(remote_id, target)}:cancel", _JSON, b"{}")

    def results(self, output: str, target: Target) -> HttpRequest:
        """Raises ProviderError (502) for what is no file."""
        return HttpRequest("GET", f"{target.base_url}/download/v1beta/{_file(output, target)}:download?alt=media", {})

    def parser(self, target: Target) -> LineResults[R]:
        return LineResults(partial(self._result, target), JsonLines())

    def forget(self, remote_id: str | None, files: Iterable[str], target: Target) -> list[HttpRequest]:
        kept = [f"{target.base_url}/v1beta/{_file(file, target)}" for file in files]
        kept += [] if remote_id is None else [_batch(remote_id, target)]
        return [HttpRequest("DELETE", url, {}) for url in kept]

    def fail(self, answer: HttpResponse, target: Target) -> ProviderFailure:
        return without_model(failure_of(answer, target.provider), "batches")

    def _result(self, target: Target, line: bytes) -> BatchResult[R] | None:
        try:
            read = _LINE.decode(line)
            status = _STATUS.decode(read.error) if given(read.error) else None
        except UNREADABLE:
            return unread(line, target, _NAMED)
        if status is not None and status.code == CANCELLED:
            return undone(read.key, "cancelled", target)
        if status is not None:
            said = HttpResponse(status.http_status, {}, b'{"error":%b}' % bytes(read.error))
            return BatchResult(read.key, "failed", failure=self.wire.fail(said, target))
        if not given(read.response):
            return nonsense(read.key, target)
        said = HttpResponse(200, {}, bytes(read.response))
        return answered(read.key, partial(self.wire.parse, said, target))


def _counts(stats: Stats) -> BatchCounts:
    """Raises ValueError."""
    return BatchCounts(int(stats.request_count), int(stats.successful_request_count), int(stats.failed_request_count))


def _failure(status: Status, target: Target) -> ProviderFailure:
    body = msgspec.json.encode({"error": {"code": status.http_status, "message": status.message}})
    return without_model(failure_of(HttpResponse(status.http_status, {}, body), target.provider), "batches")


def _batch(remote_id: str, target: Target) -> str:
    return f"{target.base_url}/v1beta/{quote(remote_id, safe='/')}"


def _file(name: str, target: Target) -> str:
    if _FILE.fullmatch(name) is None:
        raise ProviderError(f"{target.provider} named something that is no file")
    return name
