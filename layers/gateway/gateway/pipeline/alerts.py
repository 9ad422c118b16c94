"""Budgets that a request has brought to a mark: 50, 80 or 100 % settled, or wherever the owner wants to be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.model.ledger import Level, Meter, Reading
from gateway.model.record import BudgetAlert
from gateway.pipeline.admit import Entry, Ticket


@dataclass(frozen=True, slots=True)
class Settled:
    """An account after a request's cost was settled in it. `user_id`: whose it is, None for the tenant's."""

    level: Level
    tenant_id: str
    user_id: str | None
    meters: Iterable[Meter]
    reading: Reading


def alerts_of(
    ticket: Ticket, settled: Sequence[tuple[Entry, Reading]], cost_nano_usd: int, now_s: float
) -> Iterator[BudgetAlert]:
    """`settled`: the accounts as they stand afterwards."""
    principal = ticket.principal
    for entry, reading in settled:
        is_tenant = entry.account.level == "tenant"
        marks = (principal.tenant.allowance if is_tenant else principal.allowance).alerts
        user_id = None if is_tenant else principal.user.id
        account = Settled(entry.account.level, principal.tenant.id, user_id, entry.account.meters, reading)
        yield from alerts_on(account, marks, cost_nano_usd, now_s)


def alerts_on(account: Settled, marks: tuple[int, ...], cost_nano_usd: int, now_s: float) -> Iterator[BudgetAlert]:
    """A mark is passed by one request, with shards by the first one of each; the alert's id is the same for all."""
    for meter in account.meters:
        if meter.kind == "spend" and meter.limit:
            spent = account.reading.numbers.get(f"s{meter.name[1:]}", 0)
            for percent in _passed(spent - cost_nano_usd, spent, meter.limit, marks):
                yield _alert(meter, percent, spent, account, now_s)


def _passed(before: int, after: int, limit: int, marks: tuple[int, ...]) -> Iterator[int]:
    return (percent for percent in marks if before * 100 < limit * percent <= after * 100)


def _alert(meter: Meter, percent: int, spent: int, account: Settled, now_s: float) -> BudgetAlert:
    return BudgetAlert(
        id=f"budget.{account.tenant_id}.{account.user_id or ''}.{meter.name[1:]}.{percent}",
        at_s=now_s,
        tenant_id=account.tenant_id,
        level=account.level,
        user_id=account.user_id,
        window=meter.name[1:].partition("/")[0],
        models=meter.models,
        percent=percent,
        limit_nano_usd=meter.limit or 0,
        spent_nano_usd=spent,
    )
