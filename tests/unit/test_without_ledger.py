"""A tenant that goes on while DynamoDB does not answer: who may, what is counted meanwhile, and what the books get."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import pytest

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Account, Hold, Reading, Reserved
from gateway.model.limits import Allowance, Limits
from gateway.model.record import UsageRecord
from gateway.model.tenant import Tenant
from tests.dying import Fate, Killed
from tests.fakes import principal
from tests.sweeping import COST, Stage

LOCAL = Tenant(id="acme", approvals=("*",), without_ledger="local")
TENANT_ACCOUNT, ALICE_ACCOUNT = "T#acme#0", "U#acme#0#alice"


class Moody(MemoryLedger):
    """Does not answer for some accounts. `takes`: whether what they are asked is done all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.silent: set[str] = set()
        self.takes = False

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        if account.id in self.silent:
            if self.takes:
                await super().reserve(account, name, hold)
            raise AdmissionUnavailable("Limits cannot be checked at the moment (Unreachable).")
        return await super().reserve(account, name, hold)

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        if account_id in self.silent:
            raise AdmissionUnavailable("Limits cannot be settled at the moment (Unreachable).")
        return await super().settle(account_id, name, changes, stale, hold)


@pytest.fixture
def ledger() -> Moody:
    return Moody()


@pytest.fixture
def stage(ledger: Moody) -> Stage:
    made = Stage(ledger=ledger)
    made.hold(principal(LOCAL))
    return made


async def test_whoever_was_known_a_moment_ago_goes_on_while_nothing_answers(stage: Stage, ledger: Moody) -> None:
    assert (await stage.chat()).status == 200
    stage.access.is_down, ledger.silent = True, {TENANT_ACCOUNT, ALICE_ACCOUNT}
    assert (await stage.chat()).status == 200
    assert {trouble["event"] for trouble in stage.troubles} >= {"access.by_memory", "ledger.local"}


@pytest.mark.parametrize("why", ["not for long", "not chosen", "never seen"])
async def test_nobody_else_does(stage: Stage, ledger: Moody, why: str) -> None:
    if why == "not chosen":
        stage.hold(principal(Tenant(id="acme", approvals=("*",))))
    if why != "never seen":
        assert (await stage.chat()).status == 200
    stage.access.is_fresh = why != "not for long"
    stage.access.is_down, ledger.silent = True, {TENANT_ACCOUNT, ALICE_ACCOUNT}
    assert (await stage.chat()).status == 503


async def test_limits_hold_in_each_environment_meanwhile(stage: Stage, ledger: Moody) -> None:
    ledger.silent = {TENANT_ACCOUNT, ALICE_ACCOUNT}
    rules = Allowance(limits=(Limits(requests_per_minute=2),))
    stage.hold(principal(Tenant(id="acme", approvals=("*",), without_ledger="local", allowance=rules)))
    assert [(await stage.chat()).status for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("silent", [{TENANT_ACCOUNT}, {ALICE_ACCOUNT}, {TENANT_ACCOUNT, ALICE_ACCOUNT}])
@pytest.mark.parametrize("takes", [True, False])
async def test_the_books_get_what_was_spent_meanwhile(
    stage: Stage, ledger: Moody, silent: set[str], takes: bool
) -> None:
    ledger.silent, ledger.takes = silent, takes
    assert (await stage.chat()).status == 200
    for account_id in {TENANT_ACCOUNT, ALICE_ACCOUNT} - silent:
        assert (await ledger.read(account_id)).holds == {}  # nothing waits for a lease to end
    ledger.silent = set()
    await stage.deliver()
    assert (await stage.used())["cost_nano_usd"] == COST
    for account_id in (TENANT_ACCOUNT, ALICE_ACCOUNT):
        assert (await ledger.read(account_id)).numbers["s2026-09"] == COST
    await stage.judgement_day()
    await stage.check()
    assert len(stage.told(UsageRecord)) == 1


async def test_a_function_that_dies_meanwhile_leaves_the_books_right(stage: Stage, ledger: Moody) -> None:
    steps = Fate()
    ledger.silent = {TENANT_ACCOUNT}
    await stage.chat(steps)
    for at in range(steps.steps):
        ledger.silent = {TENANT_ACCOUNT}
        try:
            await stage.chat(Fate(at))
        except Killed:
            await asyncio.sleep(0)
        ledger.silent = set()
        await stage.judgement_day()
        await stage.check()
