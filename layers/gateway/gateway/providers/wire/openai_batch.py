"""OpenAI's batches: a file of requests is uploaded, a batch made of it, and two files come back.

Sources: https://developers.openai.com/api/docs/guides/batch,
https://developers.openai.com/api/reference/resources/batches (2026-11). The files with what was answered and with what
failed are there when the batch is over, also when it expired or was cancelled; nothing is told of an item before.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from gateway.model.call import Call
from gateway.model.errors import Detail
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRateLimited, ProviderRejected
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
from gateway.providers.wire.failures import public_reason, without_model
from gateway.providers.wire.json_lines import JsonLines
from gateway.providers.wire.openai_chat_failure import interruption, refusal
from gateway.providers.wire.openai_chat_quirks import Quirks

LIMITS = BatchLimits(items=50_000, size_bytes=200 * 10**6, window_s=86_400)
KEPT_S = 3 * 86_400
"""Of the files, each from its upload: longer than the window, so that none is gone before it is read."""
STATUSES: dict[str, BatchStatus] = {
    "validating": "pending",
    "in_progress": "running",
    "finalizing": "running",
    "cancelling": "running",
    "completed": "completed",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
}
MAX_DETAILS = MAX_RECENT = 100
_JSON = {"content-type": "application/json", "accept": "application/json"}
_READ = {"accept": "application/json"}
_PLAIN = Quirks()

C = TypeVar("C", bound=Call)
R = TypeVar("R", bound=Answered)


class File(Struct):
    id: str


class Counts(Struct):
    total: int = 0
    completed: int = 0
    failed: int = 0


class Trouble(Struct):
    """`line`: of the input, from 1."""

    code: str | None = None
    message: str | None = None
    line: int | None = None


class Troubles(Struct):
    data: list[Trouble] | None = None


class Batch(Struct):
    id: str
    status: str
    errors: Troubles | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: Counts | None = None


class Labelled(Struct):
    id: str
    metadata: dict[str, Any] | None = None


class Recent(Struct):
    data: list[Labelled] | None = None


class Response(Struct):
    status_code: int
    body: Raw = Raw(b"")


class Line(Struct):
    """`error`: where no request was made, or it timed out; what was refused has a `response` like any other."""

    custom_id: str
    response: Response | None = None
    error: Any = None


_FILE = msgspec.json.Decoder(File)
_BATCH = msgspec.json.Decoder(Batch)
_RECENT = msgspec.json.Decoder(Recent)
_LINE = msgspec.json.Decoder(Line)


class OpenAiBatch(msgspec.Struct, Generic[C, R], frozen=True):
    """`wire`: of one item. `endpoint`: as its lines and the batch name it. `expires`: whether files can be uploaded for
    a while only.
    """

    wire: ItemWire[C, R]
    endpoint: str
    limits: BatchLimits = LIMITS
    expires: bool = True
    frame: Frame = Frame()

    def piece(self, item_id: str, call: C, target: Target) -> bytes:
        body = self.wire.render(as_item(call, target, self.limits), target).body
        return b'{"custom_id":%b,"method":"POST","url":%b,"body":%b}' % (
            msgspec.json.encode(item_id),
            msgspec.json.encode(self.endpoint),
            body,
        )

    def upload(self, _input_bytes: int, target: Target, noise: str) -> Step:
        boundary = f"batch-{noise}"
        fields = {"purpose": "batch"}
        if self.expires:
            fields |= {"expires_after[anchor]": "created_at", "expires_after[seconds]": str(KEPT_S)}
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="batch.jsonl"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        )
        headers = {"content-type": f"multipart/form-data; boundary={boundary}", **_READ}
        request = HttpRequest("POST", f"{target.base_url}/files", headers, "".join(parts).encode())
        return Carrier(request, f"\r\n--{boundary}--\r\n".encode())

    def follow(self, answer: HttpResponse, _input_bytes: int, target: Target) -> str:
        return read_answer(_FILE, answer, target).id

    def create(self, file: str | None, label: str, target: Target) -> Step:
        body: dict[str, Any] = {
            "input_file_id": file,
            "endpoint": self.endpoint,
            "completion_window": "24h",
            "metadata": {"label": label},
        }
        if self.expires:
            body["output_expires_after"] = {"anchor": "created_at", "seconds": KEPT_S}
        return HttpRequest("POST", f"{target.base_url}/batches", _JSON, msgspec.json.encode(body))

    def recent(self, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{target.base_url}/batches?limit={MAX_RECENT}", _READ)

    def labelled(self, answer: HttpResponse, label: str, target: Target) -> str | None:
        found = read_answer(_RECENT, answer, target).data or []
        return next((one.id for one in found if (one.metadata or {}).get("label") == label), None)

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("GET", _batch(remote_id, target), _READ)

    def state(self, answer: HttpResponse, target: Target) -> BatchState:
        batch = read_answer(_BATCH, answer, target)
        status = STATUSES.get(batch.status.lower())
        if status is None:
            raise ProviderError(f"{target.provider} sent something that is no state of a batch.")
        counts = batch.request_counts or Counts()
        return BatchState(
            batch.id,
            status,
            BatchCounts(counts.total, counts.completed, counts.failed),
            tuple(output for output in (batch.output_file_id, batch.error_file_id) if output),
            is_cancelling=batch.status == "cancelling",
            failure=why_refused((batch.errors and batch.errors.data) or [], target) if status == "failed" else None,
        )

    def cancel(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("POST", f"{_batch(remote_id, target)}/cancel", _READ)

    def results(self, output: str, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{_file(output, target)}/content", {"accept": "*/*"})

    def parser(self, target: Target) -> LineResults[R]:
        return LineResults(partial(self._result, target), JsonLines())

    def forget(self, _remote_id: str | None, files: Iterable[str], target: Target) -> list[HttpRequest]:
        """The batch itself cannot be deleted; without its files it is a row of counts."""
        return [HttpRequest("DELETE", _file(file, target), _READ) for file in files]

    def fail(self, answer: HttpResponse, target: Target) -> ProviderFailure:
        return without_model(refusal(answer, target, _PLAIN), "batches")

    def _result(self, target: Target, line: bytes) -> BatchResult[R] | None:
        try:
            read = _LINE.decode(line)
        except UNREADABLE:
            return unread(line, target)
        if read.error and not (read.response and given(read.response.body)):
            return self._not_made(read.custom_id, read.error, target)
        if read.response is None:
            return nonsense(read.custom_id, target)
        said = HttpResponse(read.response.status_code, {}, bytes(read.response.body))
        return answered(read.custom_id, partial(self._parse, said, target))

    def _parse(self, said: HttpResponse, target: Target) -> R:
        if not 200 <= said.status < 300:
            raise self.wire.fail(said, target)
        return self.wire.parse(said, target)

    def _not_made(self, item_id: str, error: Any, target: Target) -> BatchResult[R]:
        code = error.get("code") if isinstance(error, dict) else None
        if code in ("batch_expired", "batch_cancelled"):
            return undone(item_id, "expired" if code == "batch_expired" else "cancelled", target)
        return BatchResult(item_id, "failed", failure=interruption({"error": error}, target, _PLAIN))


def why_refused(troubles: list[Trouble], target: Target) -> ProviderFailure:
    """Why there is no batch. A full queue of the account is no fault of the input, and passes: `token_limit_exceeded`.

    Source: https://developers.openai.com/api/docs/guides/batch#rate-limits
    """
    code = next((trouble.code for trouble in troubles if trouble.code), None)
    if code is not None and code.endswith("limit_exceeded"):
        return ProviderRateLimited(f"{target.provider} limits the gateway's batches", provider_code=code)
    said = next((f": {public_reason(trouble.message)}" for trouble in troubles if trouble.message), "")
    details = tuple(
        Detail(f"/{trouble.line - 1}", public_reason(trouble.message or "refused"))
        for trouble in troubles[:MAX_DETAILS]
        if trouble.line is not None
    )
    return ProviderRejected(f"{target.provider} refused the batch{said}", provider_code=code, details=details)


T = TypeVar("T")


def read_answer(decoder: msgspec.json.Decoder[T], answer: HttpResponse, target: Target) -> T:
    """Raises ProviderError (502)."""
    try:
        return decoder.decode(answer.body)
    except UNREADABLE:
        raise ProviderError(f"{target.provider} sent something that is no batch.") from None


def _batch(remote_id: str, target: Target) -> str:
    return f"{target.base_url}/batches/{quote(remote_id, safe='')}"


def _file(name: str, target: Target) -> str:
    return f"{target.base_url}/files/{quote(name, safe='')}"
