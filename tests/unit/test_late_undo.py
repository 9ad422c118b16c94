"""A request that was planned by memory and is admitted anew, while what it held first is still being given back."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
import pytest
from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Account, Hold, Reading, Reserved
from tests.fakes import principal
from tests.unit.conftest import TENANT, Gateway
from tests.unit.test_admission import COST, DAY, TENANT_ACCOUNT, budget
from tests.unit.test_chat_function import HELLO, WHOLE

ASK = {**HELLO, "max_tokens": 10}


class Late(MemoryLedger):
    """Undoes come through late, too: `is_answered` and a second time, or not before the next request for a hold."""

    def __init__(self, *, is_answered: bool) -> None:
        super().__init__()
        self._is_answered = is_answered
        self._undone: list[tuple[str, str, dict[str, int], Hold | None]] = []
        self.held: list[int] = []

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        reserved = await super().reserve(account, name, hold)
        for undone in [undone for undone in self._undone if undone[0] == account.id]:
            self._undone.remove(undone)
            await super().settle(undone[0], undone[1], undone[2], (), undone[3])
        self.held.append(len((await self.read(account.id)).holds))
        return reserved

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        if not any(name[0] == "s" and change for name, change in changes.items()):
            self._undone.append((account_id, name, dict(changes), hold))
            if not self._is_answered:
                raise AdmissionUnavailable("Limits cannot be settled at the moment (Unreachable).")
        return await super().settle(account_id, name, changes, stale, hold)


async def changed_meanwhile(gateway: Gateway, ledger: Late) -> int:
    """The status of a request whose tenant is not as it is remembered."""
    gateway.world = replace(gateway.world, ledger=ledger)
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(ASK)).status == 200
    gateway.hold(principal(msgspec.structs.replace(TENANT, allowance=budget("1"))))
    ledger.held.clear()
    return (await gateway.chat(ASK)).status


async def test_an_undo_that_arrives_twice_does_not_take_the_later_hold(gateway: Gateway) -> None:
    ledger = Late(is_answered=True)
    assert await changed_meanwhile(gateway, ledger) == 200
    assert ledger.held == [1, 1, 1, 1]
    reading = await ledger.read(TENANT_ACCOUNT)
    assert (reading.holds, reading.numbers[f"s{DAY}"], reading.numbers[f"c{DAY}"]) == ({}, 2 * COST, 2 * COST)


async def test_a_request_does_not_run_on_a_hold_that_is_being_given_back(gateway: Gateway) -> None:
    ledger = Late(is_answered=False)
    assert await changed_meanwhile(gateway, ledger) == 503
    reading = await ledger.read(TENANT_ACCOUNT)
    assert (reading.holds, reading.numbers[f"s{DAY}"], reading.numbers[f"c{DAY}"]) == ({}, COST, COST)


@pytest.mark.parametrize("is_answered", [True, False])
async def test_the_next_request_finds_everything_as_it_should_be(gateway: Gateway, is_answered: bool) -> None:
    await changed_meanwhile(gateway, Late(is_answered=is_answered))
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(ASK)).status == 200
