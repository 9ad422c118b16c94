"""What a request really used, by the usage records that tell of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gateway.model.record import Told, UsageRecord
from gateway.pipeline.admit import Used


def used_of(told: Iterable[Told], *, was_executed: bool) -> Used:
    """`told`: all of one request."""
    costs: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    is_lost = False
    for record in told:
        if isinstance(record, UsageRecord):
            costs[record.model or ""] += record.cost_nano_usd or 0
            counts[record.model or ""] += 0 if record.usage is None else record.usage.total_tokens
            is_lost |= record.is_lost_without_trace
    return Used(costs.total(), counts.total(), was_executed, costs, counts, is_lost)
