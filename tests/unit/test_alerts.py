"""Marks of budgets: told at least once, with the figures of the whole, however many records they are spread over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Hold, Reading, stale_numbers, told_name
from gateway.model.record import BudgetAlert
from tests.fakes import principal
from tests.unit.conftest import TENANT, Gateway
from tests.unit.test_admission import COST, DAY, TENANT_ACCOUNT, budget, limited, tenant, told
from tests.unit.test_chat_function import HELLO, WHOLE

ASK = {**HELLO, "max_tokens": 3}
LIMIT = 20 * COST


def usd(nano_usd: int) -> str:
    return f"{nano_usd / 10**9:.9f}"


async def ask(gateway: Gateway, times: int = 1) -> None:
    gateway.answers(200, WHOLE)
    for _ in range(times):
        assert (await gateway.chat(ASK)).status == 200


def alerts(gateway: Gateway) -> list[BudgetAlert]:
    found: list[BudgetAlert] = told(gateway, BudgetAlert)
    return found


@pytest.mark.parametrize("level", ["tenant", "user"])
@pytest.mark.parametrize("shards", [1, 2, 5])
async def test_a_mark_is_told_once_with_what_is_spent_in_all(gateway: Gateway, shards: int, level: str) -> None:
    limit = 2 * LIMIT
    allowance = budget(usd(limit))
    wanted = {"allowance" if level == "tenant" else "user_allowance": allowance}
    holder = principal(tenant(**wanted, shards=shards))
    if level == "user":
        user = msgspec.structs.replace(holder.user, shards=shards)
        gateway.access.users["acme", "alice"] = user
        holder = msgspec.structs.replace(holder, user=user)
    gateway.hold(holder)
    asked = 0
    while not alerts(gateway):
        await ask(gateway)
        asked += 1
    await ask(gateway)
    assert [(alert.percent, alert.level, alert.limit_nano_usd) for alert in alerts(gateway)] == [(50, level, limit)]
    assert alerts(gateway)[0].spent_nano_usd == asked * COST >= limit // 2


class Unanswering(MemoryLedger):
    """Settles, and does not say so. `is_silent`: from when on."""

    is_silent = False

    async def settle(
        self,
        account_id: str,
        name: str,
        changes: Mapping[str, int],
        stale: Collection[str] = (),
        hold: Hold | None = None,
    ) -> Reading | None:
        settled = await super().settle(account_id, name, changes, stale, hold)
        if self.is_silent:
            raise AdmissionUnavailable("Limits cannot be settled at the moment (Unreachable).")
        return settled


async def test_what_was_not_told_because_nobody_knew_is_told_by_whoever_settles_next(gateway: Gateway) -> None:
    ledger = Unanswering()
    gateway.world = replace(gateway.world, ledger=ledger)
    gateway.hold(principal(tenant(allowance=budget(usd(LIMIT)))))
    await ask(gateway, 9)
    ledger.is_silent = True
    await ask(gateway)  # the mark is passed
    assert alerts(gateway) == []
    ledger.is_silent = False
    await ask(gateway, 2)
    assert [(alert.percent, alert.spent_nano_usd) for alert in alerts(gateway)] == [(50, 11 * COST)]


async def test_a_mark_whose_note_was_not_taken_is_told_again_under_the_same_id(gateway: Gateway) -> None:
    class Forgetful(MemoryLedger):
        async def add(self, account_id: str, changes: Mapping[str, int]) -> None:
            if any(name[0] == "a" for name in changes):
                raise AdmissionUnavailable("Limits cannot be settled at the moment (Unreachable).")
            await super().add(account_id, changes)

    gateway.world = replace(gateway.world, ledger=Forgetful())
    gateway.hold(principal(tenant(allowance=budget(usd(LIMIT)))))
    await ask(gateway, 11)
    assert [alert.id for alert in alerts(gateway)] == [f"budget.acme..{DAY}.50"] * 2


async def test_a_budget_that_is_lowered_is_told_of_with_the_next_request(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=budget(usd(10 * LIMIT)))))
    await ask(gateway, 10)
    gateway.hold(principal(tenant(allowance=budget(usd(LIMIT)))))
    await ask(gateway)
    assert [alert.percent for alert in alerts(gateway)] == [50]


def test_notes_end_with_their_window() -> None:
    noted = {told_name("2026-09-21/ab", 5): 1, told_name("2026-09-10/ab", 5): 1, told_name("2026-05", 5): 1}
    assert set(stale_numbers(Reading(noted), 1_790_000_000)) == {"a2026-09-10.5/ab", "a2026-05.5"}


@pytest.mark.parametrize("shards", [1, 4])
async def test_headers_and_refusals_have_the_figures_of_the_whole(gateway: Gateway, shards: int) -> None:
    rules: Any = msgspec.structs.replace(budget("1"), limits=limited(requests_per_minute=8).limits)
    gateway.hold(principal(msgspec.structs.replace(TENANT, allowance=rules, shards=shards)))
    gateway.answers(200, WHOLE)
    answers = [await gateway.chat(ASK) for _ in range(9)]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"8"}
    assert int(answers[0].headers["x-ratelimit-remaining-requests"]) in (7, 8 - shards)
    assert 0.99 < float(answers[0].headers["x-gateway-budget-remaining-usd"]) <= 1
    error = answers[-1].json["error"]
    assert (error["code"], error["limit"], error["remaining"]) == ("rate_limited", 8, 0)


async def test_a_refusal_tells_what_is_left_in_all_shards(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=budget(usd(LIMIT)), shards=4)))
    refused = await gateway.chat({**HELLO, "max_tokens": 90})
    error = refused.json["error"]
    assert (refused.status, float(error["limit_usd"]), float(error["remaining_usd"])) == (402, 0.00105, 0.00105)
    assert (await gateway.world.ledger.read(TENANT_ACCOUNT)).holds == {}
