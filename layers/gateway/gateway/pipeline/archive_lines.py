"""What was told as lines of the archive: flat, so that a query needs no knowledge of our structures.

The columns of the tables in template.yaml are the members of these lines. A line is never changed afterwards, so a
member that is added is absent in older ones.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.ledger import day_of
from gateway.model.record import Attribution, AuditEvent, BudgetAlert, UsageRecord
from gateway.model.rollup import token_counts

Archived = UsageRecord | AuditEvent | BudgetAlert


class Line(msgspec.Struct, frozen=True):
    """`folder`: "usage", "audit" or "alerts". `day`: on which it happened, UTC."""

    folder: str
    day: str
    members: dict[str, Any]


def line_of(told: Archived) -> Line:
    day = day_of(told.at_s)
    if isinstance(told, UsageRecord):
        return Line("usage", day, _usage(told))
    if isinstance(told, AuditEvent):
        return Line("audit", day, _audit(told))
    return Line("alerts", day, msgspec.to_builtins(told))


def _usage(record: UsageRecord) -> dict[str, Any]:
    usage = record.usage
    billed = {"billed_prompt_tokens": None, "billed_completion_tokens": None}
    if usage is not None:
        billed = {name: getattr(usage, name) for name in billed}
    return {
        "id": record.id,
        **_attribution(record.of),
        "attempt": record.attempt,
        "at_s": record.at_s,
        "outcome": record.outcome,
        "code": record.code,
        "provider": record.provider,
        "model": record.model,
        "model_requested": record.model_requested,
        "stream": record.stream,
        **(token_counts(usage) if usage is not None else {}),
        **billed,
        "estimated": usage is not None and usage.estimated,
        "units": record.units,
        "service_tier": record.service_tier,
        "priced_as_default": record.priced_as_default,
        "cost_nano_usd": record.cost_nano_usd,
        "latency_ms": record.latency_ms,
        "ttft_ms": record.ttft_ms,
        "overhead_ms": record.overhead_ms,
        "queue_ms": record.queue_ms,
    }


def _audit(event: AuditEvent) -> dict[str, Any]:
    """`facts` differ from event to event, so they are one text of JSON."""
    attribution = {} if event.of is None else _attribution(event.of)
    return {
        "id": event.id,
        "event": event.event,
        "at_s": event.at_s,
        **attribution,
        "tenant_id": event.tenant_id,
        "actor": event.actor,
        "facts": msgspec.json.encode(event.facts).decode(),
    }


def _attribution(of: Attribution) -> dict[str, Any]:
    return {name: getattr(of, name) for name in of.__struct_fields__}
