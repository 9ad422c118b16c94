"""Limits, budgets and users around a chat call: what is taken before, what is settled after, what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Account, Hold, Reading, Reserved
from gateway.model.limits import Allowance, Burst, Limits
from gateway.model.provider_errors import ProviderError
from gateway.model.record import AuditEvent, BudgetAlert, UsageRecord
from gateway.model.tenant import Tenant, User
from tests.fakes import ListEvents, ManualClock, principal
from tests.unit.conftest import TENANT, Gateway
from tests.unit.test_chat_function import HELLO, STREAM, WHOLE

COST = 9 * 2_500 + 3 * 10_000  # nano-USD of the scripted reply
CHEAP = {**HELLO, "max_tokens": 10}
TENANT_ACCOUNT, ALICE_ACCOUNT = "T#acme#0", "U#acme#0#alice"
DAY, MONTH = "2026-09-21", "2026-09"


def limited(**limits: Any) -> Allowance:
    return Allowance(limits=(Limits(**limits),))


def budget(usd: str, window: Any = "day", models: str = "*") -> Allowance:
    return msgspec.convert({"budgets": [{"window": window, "usd": usd, "models": models}]}, Allowance)


def tenant(**changes: Any) -> Tenant:
    return msgspec.structs.replace(TENANT, **changes)


async def books(gateway: Gateway, account: str = TENANT_ACCOUNT) -> Reading:
    return await gateway.world.ledger.read(account)


def told(gateway: Gateway, kind: type[Any]) -> list[Any]:
    assert isinstance(gateway.world.events, ListEvents)
    return [one for one in gateway.world.events.told if isinstance(one, kind)]


@pytest.mark.parametrize("stream", [False, True])
async def test_both_books_show_in_the_end_what_it_was(gateway: Gateway, stream: bool) -> None:
    gateway.answers(200, *(STREAM if stream else [WHOLE]))
    assert (await gateway.chat({**HELLO, "stream": stream})).status == 200
    for account in (TENANT_ACCOUNT, ALICE_ACCOUNT):
        reading = await books(gateway, account)
        assert reading.holds == {}
        assert reading.numbers == {
            "n": 0,
            f"c{DAY}": COST,
            f"s{DAY}": COST,
            f"c{MONTH}": COST,
            f"s{MONTH}": COST,
        }


async def test_while_it_runs_the_most_it_can_cost_is_held(gateway: Gateway) -> None:
    seen: list[Reading] = []

    async def look() -> None:
        seen.append(await books(gateway))

    gateway.answers(200, look, WHOLE)
    await gateway.chat(CHEAP)
    [reading] = seen
    [hold] = reading.holds.values()
    assert reading.numbers["n"] == 1
    assert reading.numbers[f"c{DAY}"] == hold.cost_nano_usd > COST
    assert hold.until_s > hold.admitted_s + 285


@pytest.mark.parametrize("level", ["tenant", "user"])
async def test_a_budget_that_cannot_pay_the_most_it_may_cost_refuses(gateway: Gateway, level: str) -> None:
    allowance = budget("0.0001")
    gateway.hold(principal(tenant(**{"allowance" if level == "tenant" else "user_allowance": allowance})))
    answer = await gateway.chat({**HELLO, "max_tokens": 100})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["level"]) == (402, "budget_exceeded", level)
    assert (error["window"], error["limit_usd"], error["remaining_usd"]) == ("day", "0.0001", "0.0001")
    assert error["resets_at"] == "2026-09-22T00:00:00Z"
    assert answer.headers["x-should-retry"] == "false"
    assert gateway.outbound.sent == []
    for account in (TENANT_ACCOUNT, ALICE_ACCOUNT):
        reading = await books(gateway, account)
        assert reading.holds == {}
        assert not any(reading.numbers.values())


async def test_a_reply_of_untold_length_is_told_what_the_budget_can_ever_pay(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=budget("0.002"))))
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200
    [sent] = gateway.outbound.sent
    told_tokens = json.loads(sent.body)["max_tokens"]
    assert 100 < told_tokens < 200  # 0.002 USD at 10 USD a million, less the prompt


async def test_the_owner_may_set_the_length_of_replies_that_were_not_told(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=limited(tokens_per_minute=100_000), default_max_tokens=77)))
    gateway.answers(200, WHOLE)
    await gateway.chat(HELLO)
    assert json.loads(gateway.outbound.sent[0].body)["max_tokens"] == 77


async def test_nobody_s_length_is_touched_where_nothing_is_limited(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    await gateway.chat(HELLO)
    assert "max_tokens" not in json.loads(gateway.outbound.sent[0].body)


@pytest.mark.parametrize("level", ["tenant", "user"])
async def test_requests_beyond_the_rate_are_refused_until_the_minute_ends(gateway: Gateway, level: str) -> None:
    allowance = limited(requests_per_minute=2)
    gateway.hold(principal(tenant(**{"allowance" if level == "tenant" else "user_allowance": allowance})))
    gateway.answers(200, WHOLE)
    answers = [await gateway.chat(HELLO) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    error = answers[2].json["error"]
    assert (error["code"], error["level"], error["limit_kind"]) == ("rate_limited", level, "requests_per_minute")
    assert answers[2].headers["retry-after"] == "40"  # of a minute of which 20 s are over
    assert "x-should-retry" not in answers[2].headers
    assert len(gateway.outbound.sent) == 2
    assert isinstance(gateway.world.clock, ManualClock)
    gateway.world.clock.unix_s += 40
    assert (await gateway.chat(HELLO)).status == 200


async def test_tokens_count_as_the_most_they_can_be_and_then_as_what_they_were(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=limited(tokens_per_minute=500))))
    gateway.answers(200, WHOLE)
    first = await gateway.chat({**HELLO, "max_tokens": 300})
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 200
    second = await gateway.chat({**HELLO, "max_tokens": 300})
    assert second.status == 200  # the first one's 12 tokens leave room again
    refused = await gateway.chat({**HELLO, "max_tokens": 480})
    assert (refused.status, refused.json["error"]["limit_kind"]) == (429, "tokens_per_minute")


async def test_a_request_that_outlasts_its_minute_leaves_no_number_of_it_behind(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=limited(tokens_per_minute=500, requests_per_minute=5))))

    async def wait_two_minutes() -> None:
        assert isinstance(gateway.world.clock, ManualClock)
        gateway.world.clock.unix_s += 120

    gateway.answers(200, wait_two_minutes, WHOLE)
    await gateway.chat({**HELLO, "max_tokens": 100})
    assert not [name for name in (await books(gateway)).numbers if name[0] in "rt"]


async def test_requests_at_once_are_counted_and_let_go(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=limited(concurrent_requests=1))))
    inner: list[int] = []

    async def ask_again() -> None:
        inner.append((await gateway.chat(HELLO)).status)

    gateway.answers(200, ask_again, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200
    assert inner == [429]
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200


async def test_a_burst_is_held_apart(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=limited(burst=Burst(requests=1, seconds=10)))))
    gateway.answers(200, WHOLE)
    statuses = [(await gateway.chat(HELLO)).status for _ in range(2)]
    assert isinstance(gateway.world.clock, ManualClock)
    gateway.world.clock.unix_s += 10
    assert [*statuses, (await gateway.chat(HELLO)).status] == [200, 429, 200]


async def test_a_rule_for_some_models_leaves_the_others_alone(gateway: Gateway) -> None:
    rules = Allowance(limits=(Limits(models="openai/gpt-3*", requests_per_minute=1),), budgets=())
    gateway.hold(principal(tenant(allowance=rules)))
    gateway.answers(200, WHOLE)
    assert [(await gateway.chat(HELLO)).status for _ in range(3)] == [200, 200, 200]


async def test_of_two_budgets_each_holds(gateway: Gateway) -> None:
    both = Allowance(budgets=(*budget("1").budgets, *budget("0.0001", models="openai/*").budgets))
    gateway.hold(principal(tenant(allowance=both)))
    error = (await gateway.chat({**HELLO, "max_tokens": 100})).json["error"]
    assert (error["code"], error["models"]) == ("budget_exceeded", "openai/*")


async def test_a_user_has_his_own_allowance_in_place_of_the_tenant_s(gateway: Gateway) -> None:
    gateway.access.users["acme", "alice"] = User(id="alice", allowance=limited(requests_per_minute=1))
    gateway.hold(principal(tenant(user_allowance=limited(requests_per_minute=100))))
    gateway.answers(200, WHOLE)
    assert [(await gateway.chat(HELLO)).status for _ in range(2)] == [200, 429]


async def test_a_key_may_name_another_user_only_with_the_scope(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    refused = await gateway.chat({**HELLO, "user": "bob"})
    assert (refused.status, refused.json["error"]["code"]) == (403, "scope_missing")
    assert refused.json["error"]["param"] == "user"
    assert (await gateway.chat({**HELLO, "user": "alice"})).status == 200
    gateway.hold(principal(TENANT, scopes=("*", "assert_user")))
    assert (await gateway.chat({**HELLO, "user": "bob"})).status == 200
    assert (await books(gateway, "U#acme#0#bob")).numbers[f"s{DAY}"] == COST
    assert gateway.records.written[-1].user_id == "bob"


@pytest.mark.parametrize("user", ["bob smith", "bj\u00f6rn", "\x01" * 9])
async def test_a_user_whom_nobody_could_administer_is_refused(gateway: Gateway, user: str) -> None:
    gateway.hold(principal(TENANT, scopes=("*", "assert_user")))
    refused = await gateway.chat({**HELLO, "user": user})
    assert (refused.status, refused.json["error"]["code"]) == (400, "validation_error")
    assert refused.json["error"]["param"] == "user"


async def test_one_settling_removes_no_more_old_numbers_than_a_write_can_name(gateway: Gateway) -> None:
    await gateway.world.ledger.add("T#acme#0", {f"b1.{second}": 1 for second in range(1, 251)})
    gateway.answers(200, WHOLE)
    left = []
    for _ in range(3):
        await gateway.chat(HELLO)
        left.append(sum(name.startswith("b1.") for name in (await books(gateway)).numbers))
    assert left == [150, 50, 0]


async def test_a_model_without_a_price_is_refused_where_money_is_limited(gateway: Gateway) -> None:
    free = tenant(approvals=("*",), allowance=budget("1"))
    gateway.hold(principal(free))
    refused = await gateway.chat({**HELLO, "model": "groq/llama"})
    assert (refused.status, refused.json["error"]["code"]) == (400, "price_unknown")
    gateway.hold(principal(msgspec.structs.replace(free, allows_unpriced_models=True)))
    gateway.answers(200, WHOLE)
    assert (await gateway.chat({**HELLO, "model": "groq/llama"})).status == 200


async def test_steady_state_reads_once_and_beside_the_reservation(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    await gateway.chat(HELLO)
    gateway.access.reads = 0
    await gateway.chat(HELLO)
    assert gateway.access.reads == 1


async def test_a_revoked_key_is_refused_at_its_next_request_and_nothing_stays_held(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    await gateway.chat(HELLO)
    before = await books(gateway)
    gateway.hold(principal(TENANT, status="revoked"))
    assert (await gateway.chat(HELLO)).status == 401
    assert await books(gateway) == before
    assert len(gateway.outbound.sent) == 1


async def test_what_was_approved_a_moment_ago_is_not_refused_by_memory(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(approvals=())))
    assert (await gateway.chat(HELLO)).status == 403
    gateway.hold(principal(TENANT))
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200


async def test_a_limit_that_was_lowered_counts_at_once(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=limited(requests_per_minute=100))))
    gateway.answers(200, WHOLE)
    await gateway.chat(HELLO)
    gateway.hold(principal(tenant(allowance=limited(requests_per_minute=1))))
    assert (await gateway.chat(HELLO)).status == 429


async def test_a_provider_that_fails_is_paid_nothing_and_counts_in_the_rate(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=limited(requests_per_minute=5))))
    gateway.answers(500, b"{}")
    assert (await gateway.chat(HELLO)).status == 502
    reading = await books(gateway)
    assert (reading.numbers[f"c{DAY}"], reading.numbers["n"], reading.holds) == (0, 0, {})
    assert [value for name, value in reading.numbers.items() if name[0] == "r"] == [1]


async def test_a_provider_that_was_not_waited_for_is_paid_all_that_it_could_cost(gateway: Gateway) -> None:
    gateway.answers(200, asyncio.Event().wait)
    answer = await gateway.chat({**HELLO, "timeouts": {"total_ms": 20}})
    assert answer.status == 504
    [record] = told(gateway, UsageRecord)
    assert record.usage.estimated and record.usage.prompt_tokens > 0
    assert (await books(gateway)).numbers[f"s{DAY}"] == record.cost_nano_usd > 4_096 * 10_000


async def test_a_stream_that_breaks_off_is_settled_by_what_came(gateway: Gateway) -> None:
    gateway.answers(200, STREAM[0], STREAM[1], ProviderError("cut"))
    await gateway.chat({**HELLO, "stream": True})
    [record] = told(gateway, UsageRecord)
    assert record.usage.estimated
    assert (await books(gateway)).numbers[f"s{DAY}"] == record.cost_nano_usd > 0


async def test_one_start_one_end_and_a_usage_record_for_each_attempt(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    await gateway.chat({**HELLO, "metadata": {"conversation_id": "c-1"}})
    started, ended = told(gateway, AuditEvent)
    [usage] = told(gateway, UsageRecord)
    assert (started.event, ended.event) == ("request.started", "request.completed")
    assert (started.id, ended.id) == (f"{usage.of.request_id}.started", f"{usage.of.request_id}.ended")
    assert (usage.id, usage.outcome, usage.cost_nano_usd) == (f"{usage.of.request_id}.1", "ok", COST)
    assert (usage.of.tenant_id, usage.of.user_id, usage.of.key_id) == ("acme", "alice", "key_1")
    assert (usage.of.conversation_id, usage.model, usage.provider) == ("c-1", "openai/gpt-4o", "openai")


async def test_a_refusal_ends_as_blocked_and_what_was_held_leaves_a_record(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=limited(requests_per_minute=1))))
    gateway.answers(200, WHOLE)
    await gateway.chat(HELLO)
    await gateway.chat(HELLO)
    ended = told(gateway, AuditEvent)[-1]
    assert (ended.event, ended.facts["code"]) == ("request.blocked", "rate_limited")
    assert told(gateway, UsageRecord)[-1].outcome == "refused"


async def test_a_limit_of_the_providers_own_blocks_nobody(gateway: Gateway) -> None:
    gateway.answers(429, b"{}")
    await gateway.chat(HELLO)
    ended = told(gateway, AuditEvent)[-1]
    assert (ended.event, ended.facts["code"]) == ("request.failed", "rate_limited")


async def test_strangers_are_told_nothing_and_nothing_is_told_of_them(gateway: Gateway) -> None:
    await gateway.chat(HELLO, headers={"authorization": "Bearer gwk_wrong"})
    assert told(gateway, AuditEvent) == []


async def test_marks_of_a_budget_are_told_once_as_they_are_passed(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(allowance=budget("0.0005"))))
    gateway.answers(200, WHOLE)
    for _ in range(5):
        assert (await gateway.chat({**HELLO, "max_tokens": 3})).status == 200
    alerts = told(gateway, BudgetAlert)
    assert [(alert.percent, alert.level, alert.window) for alert in alerts] == [(50, "tenant", DAY)]
    assert alerts[0].spent_nano_usd == 5 * COST


class BrokenLedger(MemoryLedger):
    """Does not answer: from the beginning, or once something is held."""

    def __init__(self, *, takes: bool) -> None:
        super().__init__()
        self._takes = takes

    async def reserve(self, account: Account, name: str, hold: Hold) -> Reserved:
        if not self._takes:
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
        raise AdmissionUnavailable("Limits cannot be settled at the moment (Unreachable).")

    async def accounts(self) -> AsyncIterator[tuple[str, Reading]]:
        raise AdmissionUnavailable("Limits cannot be read at the moment (Unreachable).")
        yield


def with_ledger(gateway: Gateway, ledger: MemoryLedger) -> None:
    gateway.world = replace(gateway.world, ledger=ledger)


async def test_limits_that_cannot_be_checked_let_nothing_pass(gateway: Gateway) -> None:
    with_ledger(gateway, BrokenLedger(takes=False))
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["error"]["code"]) == (503, "admission_unavailable")
    assert gateway.outbound.sent == []


async def test_a_tenant_may_choose_to_count_by_itself_meanwhile(gateway: Gateway) -> None:
    with_ledger(gateway, BrokenLedger(takes=False))
    gateway.hold(principal(tenant(without_ledger="local", allowance=limited(requests_per_minute=1))))
    gateway.answers(200, WHOLE)
    assert [(await gateway.chat(HELLO)).status for _ in range(2)] == [200, 429]
    assert (await gateway.world.local_ledger.read(TENANT_ACCOUNT)).numbers[f"s{DAY}"] == COST


async def test_what_cannot_be_settled_is_told_all_the_same_and_stays_held(gateway: Gateway) -> None:
    with_ledger(gateway, BrokenLedger(takes=True))
    gateway.answers(200, WHOLE)
    assert (await gateway.chat(HELLO)).status == 200
    assert [usage.cost_nano_usd for usage in told(gateway, UsageRecord)] == [COST]
    assert [trouble["event"] for trouble in gateway.records.troubles] == ["ledger.unsettled"]
    assert len((await books(gateway)).holds) == 1


async def test_a_hot_tenant_s_counters_are_spread_and_their_shares_add_up(gateway: Gateway) -> None:
    gateway.hold(principal(tenant(shards=3, allowance=limited(requests_per_minute=7))))
    gateway.answers(200, WHOLE)
    statuses = [(await gateway.chat(HELLO)).status for _ in range(9)]
    assert statuses.count(200) == 7
    spent = [(await books(gateway, f"T#acme#{shard}")).numbers.get(f"s{DAY}", 0) for shard in range(3)]
    assert sum(spent) == 7 * COST


@pytest.mark.parametrize("usd", ["-1", "0.0000000001", "NaN", "Infinity", "1000001"])
def test_a_budget_is_an_exact_amount(usd: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="usd is a number"):
        budget(usd)


@pytest.mark.parametrize(("usd", "nano_usd"), [("0", 0), ("0.000000001", 1), ("12.5", 12_500_000_000)])
def test_a_budget_counts_in_nano_usd(usd: str, nano_usd: int) -> None:
    assert budget(usd).budgets[0].nano_usd == nano_usd
