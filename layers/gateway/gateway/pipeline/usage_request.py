"""What one finished request used, attempt by attempt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.model.errors import RequestNotFound
from gateway.model.money import usd_text
from gateway.model.record import UsageRecord
from gateway.model.rollup import add_to, counts_of
from gateway.pipeline.usage_report import figures
from gateway.record_ports import UsageStore

MAX_ID_LENGTH = 128
_STATUS = {"ok": "completed", "error": "failed", "refused": "refused", "lost": "lost"}
_OF_REPORTS_ONLY = ("requests", "attempts", "errors", "refused", "lost")


async def usage_of_request(tenant_id: str, request_id: str, usage: UsageStore) -> dict[str, Any]:
    """Raises RequestNotFound (404), StorageUnavailable (503)."""
    is_id = len(request_id) <= MAX_ID_LENGTH
    records = await usage.records(tenant_id, request_id) if is_id else []
    if not records:
        raise RequestNotFound(
            "No such request, or it has not ended, or its record is seconds away or no longer kept.", param="request_id"
        )
    return _described(records)


def _described(records: Sequence[UsageRecord]) -> dict[str, Any]:
    last = records[-1]
    sums: dict[str, int] = {}
    for record in records:
        add_to(sums, counts_of(record))
    of = msgspec.to_builtins(last.of)
    names = ("user_id", "key_id", "operation", "conversation_id", "job_id", "batch_id")
    used = {name: value for name, value in figures(sums).items() if name not in _OF_REPORTS_ONLY}
    return {
        "id": last.of.request_id,
        "object": "usage.request",
        "status": _STATUS[last.outcome],
        "code": last.code,
        **{name: of.get(name) for name in names},
        "model_requested": last.model_requested,
        "stream": last.stream,
        "ended_at": _time(max(record.at_s for record in records)),
        **used,
        "overhead_ms": last.overhead_ms,
        "attempts": [_attempt(record) for record in records if record.attempt],
    }


def _attempt(record: UsageRecord) -> dict[str, Any]:
    cost = record.cost_nano_usd
    return {
        "attempt": record.attempt,
        "status": record.outcome,
        "code": record.code,
        "provider": record.provider,
        "model": record.model,
        "prompt_tokens": None if record.usage is None else record.usage.prompt_tokens,
        "completion_tokens": None if record.usage is None else record.usage.completion_tokens,
        "cost_nano_usd": cost,
        "cost_usd": None if cost is None else usd_text(cost),
        "latency_ms": record.latency_ms,
        "ttft_ms": record.ttft_ms,
        "ended_at": _time(record.at_s),
    }


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
