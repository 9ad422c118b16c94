"""The ledger of one environment, for itself: what tests use, and what a tenant may choose to fall back on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import TYPE_CHECKING

from gateway.model.ledger import Account, Hold, Reading, Reserved

if TYPE_CHECKING:  # what only the administration loads
    from gateway.model.directory import Transfer


class MemoryLedger:
    """As `ports.Ledger`. Nothing waits between reading and writing, so every step is whole."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {}
        self._holds: dict[str, dict[str, Hold]] = {}
        self._shards: dict[str, int] = {}

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        _, holds = self._of(account.id)
        if name not in holds and self._fits(account):
            await self.add(account.id, {meter.name: meter.amount for meter in account.meters})
            holds[name] = hold
        return Reserved(holds.get(name) == hold, self._reading(account.id))

    async def enlarge(self, account: Account, name: str, hold: Hold, larger: Hold) -> Reserved:
        _, holds = self._of(account.id)
        if holds.get(name) == hold and self._fits(account):
            await self.add(account.id, {meter.name: meter.amount for meter in account.meters})
            holds[name] = larger
        return Reserved(holds.get(name) == larger, self._reading(account.id))

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        numbers, holds = self._of(account_id)
        if name not in holds or (hold is not None and holds[name] != hold):
            return None
        del holds[name]
        await self.add(account_id, changes)
        for number in set(stale) - changes.keys():
            numbers.pop(number, None)
        return self._reading(account_id)

    async def add(self, account_id: str, changes: Mapping[str, int]) -> None:
        numbers, _ = self._of(account_id)
        for number, change in changes.items():
            numbers[number] = numbers.get(number, 0) + change

    def transfer(self, transfer: Transfer) -> None:
        """What the memory's directory does to an account: without a condition, which it has checked."""
        numbers, _ = self._of(transfer.account_id)
        for number, change in transfer.changes.items():
            numbers[number] = numbers.get(number, 0) + change
        self._shards[transfer.account_id] = transfer.shards

    async def read(self, account_id: str) -> Reading:
        return self._reading(account_id)

    async def accounts(self) -> AsyncIterator[tuple[str, Reading]]:
        for account_id in list(self._numbers):
            yield account_id, self._reading(account_id)

    def _fits(self, account: Account) -> bool:
        reading = self._reading(account.id)
        is_full = any(meter.refuses(reading.numbers.get(meter.name, 0)) for meter in account.meters)
        return reading.counts_as_one_of(account.shards) and not is_full

    def _of(self, account_id: str) -> tuple[dict[str, int], dict[str, Hold]]:
        return self._numbers.setdefault(account_id, {}), self._holds.setdefault(account_id, {})

    def _reading(self, account_id: str) -> Reading:
        numbers, holds = self._of(account_id)
        return Reading(dict(numbers), dict(holds), self._shards.get(account_id))
