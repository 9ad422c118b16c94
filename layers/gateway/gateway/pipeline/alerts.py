"""Budgets of which so much is spent: 50, 80 or 100 %, or wherever the owner wants to be told.

That it was told stands in the account, beside what is settled. Whoever brings it to a mark tells that. Whoever found it
there when he came, and finds no note of it when he settles either, tells it too: somebody's settling was not answered,
or a budget was lowered. So a mark is told at least once, and seldom more often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from msgspec import Struct

from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Level, Meter, Reading, account_id, told_name
from gateway.model.record import BudgetAlert
from gateway.pipeline.admit import Entry, Ticket
from gateway.ports import Events, Ledger


class Settled(Struct, frozen=True):
    """An account after so much was settled in it. `user_id`: None for the tenant's. `marks`: in per cent. `before`: how
    it was when the request came, None for one that came long ago.
    """

    id: str
    level: Level
    tenant_id: str
    user_id: str | None
    shards: int
    marks: tuple[int, ...]
    meters: Iterable[Meter]
    cost_nano_usd: int
    reading: Reading
    before: Reading | None = None

    def of_shard(self, shard: int) -> str:
        return account_id(self.level, self.tenant_id, self.user_id or "", shard)


class _Mark(Struct, frozen=True):
    """`told`: the number that says that it was told."""

    meter: Meter
    percent: int
    limit_nano_usd: int
    told: str

    @property
    def spent(self) -> str:
        return f"s{self.meter.name[1:]}"

    def is_reached(self, spent_nano_usd: int) -> bool:
        """By the account's own share."""
        return spent_nano_usd * 100 >= (self.meter.limit or 0) * self.percent

    def is_unnoted(self, reading: Reading) -> bool:
        return self.is_reached(reading.numbers.get(self.spent, 0)) and not reading.numbers.get(self.told)


def settled_of(ticket: Ticket, settled: Sequence[tuple[Entry, Reading]], cost_nano_usd: int) -> Iterator[Settled]:
    principal = ticket.principal
    for entry, reading in settled:
        account = entry.account
        is_tenant = account.level == "tenant"
        marks = (principal.tenant.allowance if is_tenant else principal.allowance).alerts
        user_id = None if is_tenant else principal.user.id
        of = (account.id, account.level, principal.tenant.id, user_id, account.shards, marks, account.meters)
        yield Settled(*of, cost_nano_usd, reading, entry.reading)


async def tell_alerts(settled: Iterable[Settled], ledger: Ledger, events: Events, now_s: float) -> None:
    """Never raises: what cannot be found out, or noted, is told when something is settled again."""
    for account in settled:
        if marks := [*_reached(account)]:
            with suppress(AdmissionUnavailable):
                await _tell(account, marks, ledger, events, now_s)


def _reached(account: Settled) -> Iterator[_Mark]:
    """To which this request brought the account, or which nobody has noted while it ran."""
    for meter in account.meters:
        if meter.kind != "spend" or not meter.limit:
            continue
        limit = meter.whole or meter.limit
        for percent in account.marks:
            mark = _Mark(meter, percent, limit, told_name(meter.name[1:], limit * percent // 100))
            if not mark.is_unnoted(account.reading):
                continue
            before = account.reading.numbers.get(mark.spent, 0) - account.cost_nano_usd
            if not mark.is_reached(before) or account.before is None or mark.is_unnoted(account.before):
                yield mark


async def _tell(account: Settled, marks: Sequence[_Mark], ledger: Ledger, events: Events, now_s: float) -> None:
    """With shards, once all of them together have come to the mark: at the latest the last of them finds that."""
    others = (account.of_shard(shard) for shard in range(account.shards))
    readings = [account.reading, *await asyncio.gather(*(ledger.read(one) for one in others if one != account.id))]
    told: dict[str, int] = {}
    alerts: list[BudgetAlert] = []
    for mark in marks:
        spent = sum(reading.numbers.get(mark.spent, 0) for reading in readings)
        if spent * 100 < mark.limit_nano_usd * mark.percent:
            continue
        told[mark.told] = 1
        if not any(reading.numbers.get(mark.told) for reading in readings):
            alerts.append(_alert(mark, spent, account, now_s))
    if alerts:
        await events.send(alerts)
    if told:
        await ledger.add(account.id, told)


def _alert(mark: _Mark, spent: int, account: Settled, now_s: float) -> BudgetAlert:
    meter = mark.meter
    return BudgetAlert(
        id=f"budget.{account.tenant_id}.{account.user_id or ''}.{meter.name[1:]}.{mark.percent}",
        at_s=now_s,
        tenant_id=account.tenant_id,
        level=account.level,
        user_id=account.user_id,
        window=meter.name[1:].partition("/")[0],
        models=meter.models,
        percent=mark.percent,
        limit_nano_usd=mark.limit_nano_usd,
        spent_nano_usd=spent,
    )
