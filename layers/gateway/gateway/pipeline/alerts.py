"""Budgets that a request has brought to a mark: 50, 80 or 100 % settled, or wherever the owner wants to be told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.model.ledger import Meter, Reading
from gateway.model.record import BudgetAlert
from gateway.pipeline.admit import Entry, Ticket


def alerts_of(
    ticket: Ticket, settled: Sequence[tuple[Entry, Reading]], cost_nano_usd: int, now_s: float
) -> Iterator[BudgetAlert]:
    """`settled`: the accounts as they stand afterwards. A mark is passed by one request, with shards by the first one
    of each; the alert's id is the same for all of them.
    """
    for entry, reading in settled:
        is_tenant = entry.account.level == "tenant"
        marks = (ticket.principal.tenant.allowance if is_tenant else ticket.principal.allowance).alerts
        for meter in entry.account.meters:
            if meter.kind == "spend" and meter.limit:
                spent = reading.numbers.get(f"s{meter.name[1:]}", 0)
                for percent in _passed(spent - cost_nano_usd, spent, meter.limit, marks):
                    yield _alert(meter, percent, spent, entry, ticket, now_s)


def _passed(before: int, after: int, limit: int, marks: tuple[int, ...]) -> Iterator[int]:
    return (percent for percent in marks if before * 100 < limit * percent <= after * 100)


def _alert(meter: Meter, percent: int, spent: int, entry: Entry, ticket: Ticket, now_s: float) -> BudgetAlert:
    tenant_id, level = ticket.principal.tenant.id, entry.account.level
    user_id = ticket.principal.user.id if level == "user" else None
    return BudgetAlert(
        id=f"budget.{tenant_id}.{user_id or ''}.{meter.name[1:]}.{percent}",
        at_s=now_s,
        tenant_id=tenant_id,
        level=level,
        user_id=user_id,
        window=meter.name[1:].partition("/")[0],
        models=meter.models,
        percent=percent,
        limit_nano_usd=meter.limit or 0,
        spent_nano_usd=spent,
    )
