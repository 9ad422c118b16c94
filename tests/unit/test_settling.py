"""After the answer there is time: what could not be settled is tried again, more and more seldom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import pytest

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Account, Hold, Reading, Reserved
from gateway.model.record import BudgetAlert
from gateway.pipeline.admit import LATE_S, PAUSES_S
from tests.fakes import ManualClock, principal
from tests.unit.conftest import Gateway
from tests.unit.test_admission import (
    ALICE_ACCOUNT,
    COST,
    DAY,
    TENANT_ACCOUNT,
    books,
    budget,
    tenant,
    told,
    with_ledger,
)
from tests.unit.test_chat_function import HELLO, WHOLE

CHEAP = {**HELLO, "max_tokens": 10}


class Throttled(MemoryLedger):
    """Turns away an account's first settlings, or all that asks a tenant for a hold."""

    def __init__(self, turned_away: Mapping[str, int], *, admits: bool = True) -> None:
        super().__init__()
        self.left, self._admits = Counter(turned_away), admits
        self.settled: list[str] = []

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        if not self._admits and account.level == "tenant":
            raise AdmissionUnavailable("Limits cannot be checked (ThrottlingException).", took_nothing=True)
        return await super().reserve(account, name, hold)

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        self.settled.append(account_id)
        if self.left[account_id] > 0:
            self.left[account_id] -= 1
            raise AdmissionUnavailable("Limits cannot be settled at the moment (ThrottlingException).")
        return await super().settle(account_id, name, changes, stale, hold)


def pauses(gateway: Gateway) -> list[float]:
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)
    return clock.slept


@pytest.mark.parametrize(
    "turned_away", [{TENANT_ACCOUNT: 4}, {ALICE_ACCOUNT: 1}, {TENANT_ACCOUNT: 2, ALICE_ACCOUNT: 2}]
)
async def test_what_was_turned_away_is_settled_a_little_later(gateway: Gateway, turned_away: dict[str, int]) -> None:
    """And tells of the mark that it passes with it, as if nothing had been."""
    ledger = Throttled({})
    with_ledger(gateway, ledger)
    gateway.hold(principal(tenant(allowance=budget("0.0005"), user_allowance=budget("0.0005"))))
    gateway.answers(200, WHOLE)
    for number in range(1, 6):
        ledger.left.update(turned_away if number == 5 else {})
        assert (await gateway.chat({**HELLO, "max_tokens": 3})).status == 200
    for account in (TENANT_ACCOUNT, ALICE_ACCOUNT):
        reading = await books(gateway, account)
        assert (reading.holds, reading.numbers["n"], reading.numbers[f"s{DAY}"]) == ({}, 0, 5 * COST)
    assert gateway.records.troubles == []
    assert len(pauses(gateway)) == sum(turned_away.values())
    assert [(alert.level, alert.percent) for alert in told(gateway, BudgetAlert)] == [("tenant", 50), ("user", 50)]


async def test_the_pauses_grow_and_end(gateway: Gateway) -> None:
    with_ledger(gateway, Throttled({TENANT_ACCOUNT: 1_000}))
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(CHEAP)).status == 200
    assert [trouble["event"] for trouble in gateway.records.troubles] == ["ledger.unsettled"]
    for pause_s, about_s in zip(pauses(gateway), PAUSES_S, strict=True):
        assert about_s / 2 <= pause_s <= about_s * 1.5
    assert (await books(gateway, ALICE_ACCOUNT)).holds == {}


async def test_an_account_that_turned_the_request_away_is_left_alone(gateway: Gateway) -> None:
    ledger = Throttled({ALICE_ACCOUNT: 1}, admits=False)
    with_ledger(gateway, ledger)
    assert (await gateway.chat(CHEAP)).status == 503
    assert ledger.settled == [ALICE_ACCOUNT] * 2
    assert (await books(gateway, ALICE_ACCOUNT)).holds == {}
    assert gateway.records.troubles == []


class Overtaken(MemoryLedger):
    """A tenant's hold is not answered and comes after its undo, if it comes. `undone`: how often that was tried."""

    def __init__(self, *, comes: bool) -> None:
        super().__init__()
        self._comes, self.undone = comes, 0
        self._on_its_way: list[tuple[Account, str, Hold]] = []

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        if account.level == "user":
            return await super().reserve(account, name, hold)
        self._on_its_way += [(account, name, hold)] * self._comes
        raise AdmissionUnavailable("Limits cannot be checked at the moment (Unreachable).")

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        settled = await super().settle(account_id, name, changes, stale, hold)
        if account_id == TENANT_ACCOUNT:
            self.undone += 1
            while self._on_its_way:
                assert (await super().reserve(*self._on_its_way.pop())).is_held
        return settled


@pytest.mark.parametrize("comes", [True, False])
async def test_a_hold_that_comes_after_its_undo_is_undone_too(gateway: Gateway, comes: bool) -> None:
    ledger = Overtaken(comes=comes)
    with_ledger(gateway, ledger)
    assert (await gateway.chat(CHEAP)).status == 503
    assert ledger.undone == 2
    assert [LATE_S / 2 <= pause_s <= LATE_S * 1.5 for pause_s in pauses(gateway)] == [True]
    for account in (TENANT_ACCOUNT, ALICE_ACCOUNT):
        reading = await books(gateway, account)
        assert (reading.holds, any(reading.numbers.values())) == ({}, False)
