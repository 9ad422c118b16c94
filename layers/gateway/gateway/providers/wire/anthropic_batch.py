"""Anthropic's message batches: all requests in one body, and the results as JSON lines once the last has ended.

Sources: https://platform.claude.com/docs/en/build-with-claude/batch-processing,
https://platform.claude.com/docs/en/api/messages/batches (2026-11). Only what succeeded is paid. Results are kept for 29
days, unless the batch is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from gateway.model.chat import ChatCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import (
    BatchCounts,
    BatchLimits,
    BatchResult,
    BatchState,
    BatchStatus,
    Carrier,
    Frame,
    Target,
)
from gateway.providers.wire.anthropic_messages import AnthropicMessages
from gateway.providers.wire.anthropic_parse import error_of, fail_message
from gateway.providers.wire.batch_items import UNREADABLE, LineResults, answered, as_item, nonsense, undone, unread
from gateway.providers.wire.failures import without_model
from gateway.providers.wire.json_lines import JsonLines

LIMITS = BatchLimits(items=100_000, size_bytes=256 * 10**6, window_s=86_400)
FRAME = Frame(b'{"requests":[', b",", b"]}")
PATH = "/v1/messages/batches"
REFUSED = frozenset({"betas", "speed"})
"""Betas are asked for by a header, which is the whole batch's; and there is no fast mode in batches (same source)."""


class Counts(Struct):
    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class Batch(Struct):
    id: str
    processing_status: str
    request_counts: Counts
    cancel_initiated_at: str | None = None
    results_url: str | None = None

    @property
    def status(self) -> BatchStatus | None:
        """One that is over does not say how it came to that; its counts do."""
        match self.processing_status:
            case "in_progress" | "canceling":
                return "running"
            case "ended":
                was_cut = self.cancel_initiated_at is not None and self.request_counts.canceled > 0
                return "cancelled" if was_cut else "expired" if self.request_counts.expired else "completed"
        return None


class Result(Struct):
    type: str
    message: Raw = Raw(b"")
    error: Raw = Raw(b"")


class Line(Struct):
    custom_id: str
    result: Result


_BATCH = msgspec.json.Decoder(Batch)
_LINE = msgspec.json.Decoder(Line)


class AnthropicBatch(msgspec.Struct, frozen=True):
    wire: AnthropicMessages
    limits: BatchLimits = LIMITS
    frame: Frame = FRAME

    def piece(self, item_id: str, call: ChatCall, target: Target) -> bytes:
        params = self.wire.render(as_item(call, target, self.limits, REFUSED), target).body
        return b'{"custom_id":%b,"params":%b}' % (msgspec.json.encode(item_id), params)

    def upload(self, _input_bytes: int, _target: Target, _noise: str) -> None:
        return None

    def follow(self, _answer: HttpResponse, _input_bytes: int, target: Target) -> str:
        raise ProviderError(f"{target.provider} takes no input of a batch before the batch")

    def create(self, _file: str | None, _label: str, target: Target) -> Carrier:
        return Carrier(
            HttpRequest("POST", target.base_url + PATH, {"content-type": "application/json", **self._headers})
        )

    def recent(self, _target: Target) -> None:
        return None

    def labelled(self, _answer: HttpResponse, _label: str, _target: Target) -> None:
        return None

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("GET", _place(remote_id, target), self._headers)

    def state(self, answer: HttpResponse, target: Target) -> BatchState:
        try:
            batch = _BATCH.decode(answer.body)
        except UNREADABLE:
            raise ProviderError(f"{target.provider} sent something that is no batch.") from None
        if (status := batch.status) is None:
            raise ProviderError(f"{target.provider} sent something that is no state of a batch.")
        counts = batch.request_counts
        total = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
        return BatchState(
            batch.id,
            status,
            BatchCounts(total, counts.succeeded, counts.errored, counts.canceled, counts.expired),
            (batch.id,) if batch.results_url else (),
            is_cancelling=batch.processing_status == "canceling",
        )

    def cancel(self, remote_id: str, target: Target) -> HttpRequest:
        return HttpRequest("POST", f"{_place(remote_id, target)}/cancel", self._headers)

    def results(self, output: str, target: Target) -> HttpRequest:
        """At the batch's own address, whatever it says: the key goes along."""
        headers = {**self._headers, "accept": "application/binary"}
        return HttpRequest("GET", f"{_place(output, target)}/results", headers)

    def parser(self, target: Target) -> LineResults[Reply]:
        return LineResults(partial(self._result, target), JsonLines())

    def forget(self, remote_id: str | None, _files: Iterable[str], target: Target) -> list[HttpRequest]:
        return [] if remote_id is None else [HttpRequest("DELETE", _place(remote_id, target), self._headers)]

    def fail(self, answer: HttpResponse, target: Target) -> ProviderFailure:
        return without_model(fail_message(answer, target.provider), "batches")

    @property
    def _headers(self) -> dict[str, str]:
        return {"anthropic-version": self.wire.version}

    def _result(self, target: Target, line: bytes) -> BatchResult[Reply] | None:
        try:
            read = _LINE.decode(line)
        except UNREADABLE:
            return unread(line, target)
        match read.result.type:
            case "succeeded":
                said = HttpResponse(200, {}, bytes(read.result.message))
                return answered(read.custom_id, partial(self.wire.parse, said, target))
            case "errored":
                failure = error_of(bytes(read.result.error), target.provider)
                return (
                    BatchResult(read.custom_id, "failed", failure=failure)
                    if failure
                    else nonsense(read.custom_id, target)
                )
            case "canceled":
                return undone(read.custom_id, "cancelled", target)
            case "expired":
                return undone(read.custom_id, "expired", target)
        return nonsense(read.custom_id, target)


def _place(remote_id: str, target: Target) -> str:
    return f"{target.base_url}{PATH}/{quote(remote_id, safe='')}"
