"""What has to move between accounts when a tenant or user is spread over another number of them, or has other budgets.

Each of n accounts admits as long as what is committed in it fits its n-th part of a budget. Were only n to change, what
was spent would stand in the wrong places: with one account of which 90 of 100 USD are gone, four of them would admit
25 USD in each of the three new ones. So the transaction that stores the new settings also spreads what is committed and
settled in the running day and month evenly over the new accounts, and tells each account how many of them there are: an
admission that was planned with the old number is refused by that, and planned again.

Accounts go on working while this is prepared, so what was read may be outdated when it is written. Therefore the write
has bounds: no account that stays may have more than its new part then, and none that goes more than is moved from it.
For that half of what is left of each budget is moved in advance, and brought back by a second transaction, when nothing
is added to those accounts any more.

Rates of the running minute and the number of running requests are not moved: a new account begins at none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from gateway.admin_ports import AdminWorld
from gateway.model.directory import Change, NotCommitted, Transfer
from gateway.model.errors import GatewayError
from gateway.model.ledger import Level, Reading, account_id, day_of, month_of, suffix
from gateway.model.limits import Allowance
from gateway.model.tenant import MAX_SHARDS
from gateway.pipeline.meters import Share, window_end_s
from gateway.ports import Ledger

TURN_OF_THE_DAY_S = 10.0


class Spread(Struct, frozen=True):
    """Over how many accounts somebody is spread, and what his budgets are."""

    shards: int
    allowance: Allowance


class Accounts(Struct, frozen=True):
    """Those of a tenant, or of one of its users."""

    level: Level
    tenant_id: str
    user_id: str = ""

    def id(self, shard: int) -> str:
        return account_id(self.level, self.tenant_id, self.user_id, shard)

    async def read(self, ledger: Ledger, shards: int) -> list[Reading]:
        return await asyncio.gather(*(ledger.read(self.id(shard)) for shard in range(shards)))


def accounts_moved(before: Spread, after: Spread) -> int:
    """How many accounts are in a transaction that goes from one to the other."""
    budgets_moved = after.shards > 1 and before.allowance.budgets != after.allowance.budgets
    return max(before.shards, after.shards) if before.shards != after.shards or budgets_moved else 0


async def transfers(accounts: Accounts, before: Spread, after: Spread, world: AdminWorld) -> tuple[Transfer, ...]:
    """What belongs into the transaction that stores `after`. It must not begin on one day and end on another."""
    if not accounts_moved(before, after):
        return ()
    if (left_s := window_end_s("day", world.clock.now_s()) - world.clock.now_s()) < TURN_OF_THE_DAY_S:
        await world.clock.sleep(left_s + 1)
    readings = await accounts.read(world.ledger, max(before.shards, after.shards))
    return tuple(_transfers(accounts, after, readings, world.clock.now_s(), ahead=True))


async def leftovers(accounts: Accounts, after: Spread, world: AdminWorld) -> tuple[Transfer, ...]:
    """For a second transaction: what accounts that have gone still hold, because it was moved in advance, or because
    requests ended there since and cost less than was held for them.
    """
    first = await world.ledger.read(accounts.id(0))
    if first.shards is None:
        return ()  # it was never spread otherwise
    now_s = world.clock.now_s()
    readings = await accounts.read(world.ledger, MAX_SHARDS)
    names = _names(readings, now_s)
    last = max((shard for shard, reading in enumerate(readings) if any(map(reading.numbers.get, names))), default=0)
    if last < after.shards:
        return ()
    return tuple(_transfers(accounts, after, readings[: last + 1], now_s, ahead=False))


async def bring_home(accounts: Accounts, spread: Spread, world: AdminWorld) -> None:
    """The second transaction of a change. It fails nothing: what it cannot do now comes home with the next change."""
    with suppress(NotCommitted, GatewayError):
        if left := await leftovers(accounts, spread, world):
            await world.directory.commit(Change(transfers=left), world.clock.now_s())


def _transfers(
    accounts: Accounts, after: Spread, readings: Sequence[Reading], now_s: float, *, ahead: bool
) -> Iterator[Transfer]:
    limits = _limits(after.allowance, now_s)
    moves = [
        _Move(name, [reading.numbers.get(name, 0) for reading in readings], after.shards, limits.get(name), ahead)
        for name in sorted({*_names(readings, now_s), *limits})  # also what nobody has spent of yet
    ]
    for shard in range(len(readings)):
        changes = {move.name: move.change(shard) for move in moves if move.change(shard)}
        bounds = {move.name: move.at_most(shard) for move in moves}
        yield Transfer(
            accounts.id(shard), after.shards, changes, {name: most for name, most in bounds.items() if most is not None}
        )


class _Move(Struct, frozen=True):
    """One number over all accounts. `limit`: of its budget, None where there is none. `ahead`: see the module."""

    name: str
    values: Sequence[int]
    shards: int
    limit: int | None
    ahead: bool

    @property
    def total(self) -> int:
        return sum(self.values)

    @property
    def in_advance(self) -> int:
        """For each account that goes."""
        leaving = len(self.values) - self.shards
        if not self.ahead or leaving < 1 or self.limit is None or self.total >= self.limit:
            return 0
        return (self.limit - self.total) // 2 // leaving

    def change(self, shard: int) -> int:
        if shard >= self.shards:
            return -self.values[shard] - self.in_advance
        moved = self.in_advance * (len(self.values) - self.shards)
        return Share(self.shards, shard).of_amount(self.total + moved) - self.values[shard]

    def at_most(self, shard: int) -> int | None:
        """What the number may be just before. None where nothing is left to be spent, or nothing is limited."""
        if self.limit is None or self.total >= self.limit:
            return None
        if shard >= self.shards:
            return self.values[shard] + self.in_advance if self.ahead else None
        return Share(self.shards, shard).of_amount(self.limit) - self.change(shard)


def _names(readings: Sequence[Reading], now_s: float) -> set[str]:
    running = {f"{kind}{window}" for kind in "cs" for window in (day_of(now_s), month_of(now_s))}
    names = {name for reading in readings for name in reading.numbers}
    return {name for name in names if name.partition("/")[0] in running}


def _limits(allowance: Allowance, now_s: float) -> Mapping[str, int]:
    """The lowest budget of each number."""
    lowest: dict[str, int] = {}
    for budget in allowance.budgets:
        window = day_of(now_s) if budget.window == "day" else month_of(now_s)
        name = f"c{window}{suffix(budget.models)}"
        lowest[name] = min(budget.nano_usd, lowest.get(name, budget.nano_usd))
    return lowest
