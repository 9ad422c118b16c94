"""What counting relies on, in memory and in DynamoDB: a record counts once, whatever happens on its way."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.usage import DynamoUsage
from gateway.adapters.aws.usage_writes import Tables
from gateway.model.ledger import hold_name
from gateway.model.rollup import Counts, Group, summed
from gateway.ports import Ledger
from gateway.record_ports import UsageStore
from tests.fakes import ManualClock
from tests.record_fakes import LIFE_S, NOW_S, MemoryUsage, lost, record

DAY_S = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_S)


@pytest.fixture
def dynamo(dynamodb_api: AwsApi, usage_table: str, ledger_table: str, clock: ManualClock) -> DynamoUsage:
    return DynamoUsage(dynamodb_api, Tables(usage_table, ledger_table), LIFE_S, clock)


@pytest.fixture(params=["memory", "dynamodb"])
def both(request: pytest.FixtureRequest, clock: ManualClock) -> tuple[UsageStore, Ledger]:
    """And the ledger that is told what it has yet to know."""
    if request.param == "memory":
        memory = MemoryUsage(clock, LIFE_S)
        return memory, memory.ledger
    table, api = request.getfixturevalue("ledger_table"), request.getfixturevalue("dynamodb_api")
    return request.getfixturevalue("dynamo"), DynamoLedger(api, table, timeout_s=5.0)


@pytest.fixture
def usage(both: tuple[UsageStore, Ledger]) -> UsageStore:
    return both[0]


async def test_what_the_ledger_has_yet_to_know_is_added_once_with_its_record(both: tuple[UsageStore, Ledger]) -> None:
    usage, ledger = both
    await ledger.add("T#acme#0", {"c2026-09": 5})
    later = {"T#acme#0": {"c2026-09": 7, "s2026-09": 7}, "U#acme#0#alice": {"s2026-09": 7}}
    told = [record(f"req_{number}", unbooked=later) for number in range(3)]
    for _ in range(2):
        await usage.add(told)
    await usage.add([told[0], record("req_9", unbooked=later)])
    assert (await ledger.read("T#acme#0")).numbers == {"c2026-09": 5 + 4 * 7, "s2026-09": 4 * 7}
    assert (await ledger.read("U#acme#0#alice")).numbers == {"s2026-09": 4 * 7}


async def test_no_transaction_is_larger_than_may_be_with_what_the_ledger_has_yet_to_know(
    both: tuple[UsageStore, Ledger],
) -> None:
    usage, ledger = both
    told = [record(f"req_{number}", unbooked={f"U#acme#0#{number}": {"s2026-09": 1}}) for number in range(60)]
    assert len((await usage.add(told)).counted) == 60
    assert (await ledger.read("U#acme#0#59")).numbers == {"s2026-09": 1}


async def rows(usage: UsageStore, first: str = "2026-09-01", last: str = "2026-09-30") -> dict[Group, Counts]:
    return {group: counts async for group, counts in usage.sums("acme", first, last)}


async def test_a_record_is_kept_and_counted(usage: UsageStore) -> None:
    added = await usage.add([record()])
    assert added.counted == [record()]
    assert await usage.records("acme", "req_1") == [record()]
    assert await rows(usage) == {
        Group("2026-09-21", "alice", "key_1", "chat", "openai", "openai/gpt-4o"): {
            "requests": 1,
            "attempts": 1,
            "prompt_tokens": 12,
            "cached_tokens": 5,
            "completion_tokens": 34,
            "reasoning_tokens": 7,
            "cost_nano_usd": 1_000_001,
        }
    }
    assert await usage.tenants() == ["acme"]


async def test_a_request_counts_once_and_each_attempt_by_itself(usage: UsageStore) -> None:
    failed = record(outcome="error", code="provider_error", usage=None, cost_nano_usd=0)
    served = record(attempt=2, model="groq/llama", provider="groq", cost_nano_usd=None, units={"images": 2})
    await usage.add([served])
    await usage.add([failed, served])
    found = await rows(usage)
    assert await usage.records("acme", "req_1") == [failed, served]
    assert found[Group("2026-09-21", "alice", "key_1", "chat", "openai", "openai/gpt-4o")] == {
        "requests": 1,
        "attempts": 1,
        "errors": 1,
    }
    groq = found[Group("2026-09-21", "alice", "key_1", "chat", "groq", "groq/llama")]
    assert (groq["attempts"], groq["unpriced"], groq["units.images"]) == (1, 1, 2)
    assert "requests" not in groq
    assert "cost_nano_usd" not in groq


async def test_a_record_that_comes_again_is_known(usage: UsageStore) -> None:
    await usage.add([record()])
    before = await rows(usage)
    added = await usage.add([record(), record("req_2"), record("req_2")])
    assert {one.id for one in added.known} == {"req_1.1", "req_2.1"}
    assert [one.id for one in added.counted] == ["req_2.1"]
    [counts] = (await rows(usage)).values()
    assert counts == {name: 2 * count for name, count in next(iter(before.values())).items()}


async def test_many_records_of_many_rows_go_in_as_few_steps_as_fit(usage: UsageStore) -> None:
    many = [record(f"req_{n}", of={"user_id": f"user {n % 90}"}) for n in range(250)]
    added = await usage.add(many)
    assert len(added.counted) == 250
    assert await rows(usage) == summed(many)


async def test_days_are_utc_and_rows_come_by_day(usage: UsageStore) -> None:
    midnight_s = 1_790_035_200.0  # 2026-09-22
    await usage.add([record("req_1", at_s=midnight_s), record("req_2", at_s=midnight_s - 0.001)])
    await usage.add([record("req_3", at_s=midnight_s + DAY_S)])
    assert [group.day for group in await rows(usage)] == ["2026-09-21", "2026-09-22", "2026-09-23"]
    assert [group.day for group in await rows(usage, "2026-09-22", "2026-09-22")] == ["2026-09-22"]


async def test_names_of_any_kind_stay_apart(usage: UsageStore) -> None:
    names = ['a"b', "a|b", "a#b", "[x]", "ü"]
    await usage.add([record(f"req_{name}", of={"user_id": name}) for name in names])
    assert sorted(group.user for group in await rows(usage)) == sorted(names)
    await usage.add([record("req_9", of={"tenant_id": "acme-2"})])
    assert len(await rows(usage)) == len(names)
    assert await usage.tenants() == ["acme", "acme-2"]


async def test_a_request_that_nothing_is_known_of_can_be_claimed_once(usage: UsageStore) -> None:
    assert await usage.claim(lost()) == [lost()]
    assert await usage.claim(lost(cost_nano_usd=9)) == [lost()]
    late = await usage.add([record(), record(attempt=2)])
    assert (len(late.late), late.counted) == (2, [])
    [counts] = (await rows(usage)).values()
    assert counts == {"requests": 1, "lost": 1, "estimated": 1, "cost_nano_usd": 7_000}
    assert (await usage.add([lost()])).known == [lost()]


async def test_a_request_with_records_is_not_lost_and_can_be_closed(usage: UsageStore) -> None:
    await usage.add([record()])
    assert await usage.claim(lost()) == [record()]
    assert [one.id for one in (await usage.add([record(attempt=2)])).late] == ["req_1.2"]
    assert await usage.close("acme", "req_1") == [record()]
    assert [counts["requests"] for counts in (await rows(usage)).values()] == [1]


async def test_a_request_is_found_by_the_name_of_its_hold(usage: UsageStore) -> None:
    request_id = "req_0123456789abcdef0123456789abcdef"
    await usage.add([record(request_id), record("req_fedcba")])
    assert await usage.requests("acme", hold_name(request_id)) == [request_id]
    assert await usage.requests("acme", "h0000000000000000") == []
    assert await usage.requests("other", hold_name(request_id)) == []


async def test_a_record_older_than_the_memory_of_records_is_not_counted(usage: UsageStore, clock: ManualClock) -> None:
    clock.unix_s += LIFE_S
    added = await usage.add([record(), record("req_2", at_s=NOW_S + 1)])
    assert ([one.id for one in added.late], [one.id for one in added.counted]) == (["req_1.1"], ["req_2.1"])


async def test_the_watermark_never_goes_back(usage: UsageStore) -> None:
    assert await usage.watermark_s() == 0
    for at_s in (NOW_S + 0.25, NOW_S):
        await usage.pass_watermark(at_s)
    assert await usage.watermark_s() == NOW_S + 0.25


async def test_a_record_that_cannot_be_counted_keeps_no_other_out(dynamo: DynamoUsage) -> None:
    impossible = record("req_x", of={"user_id": "u" * 1_100})  # sort keys end at 1,024 bytes
    others = [record(f"req_{number}") for number in range(5)]
    added = await dynamo.add([*others, impossible])
    assert added.failed == [impossible]
    assert len(added.counted) == 5
    assert await rows(dynamo) == summed(others)


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_any_repetition_and_any_crash_count_everything_once(
    usage: UsageStore, request: pytest.FixtureRequest, seed: int
) -> None:
    """Records come in random batches, again and again; calls fail before or after they took effect, or in between."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    told = [
        record(f"req_{number}", attempt, cost_nano_usd=dice.randrange(10**9), of={"user_id": dice.choice("abc")})
        for number in range(30)
        for attempt in range(1, dice.choice([2, 2, 2, 4]))
    ]
    if isinstance(usage, DynamoUsage):
        _break_now_and_then(usage._dynamodb, dice, request.getfixturevalue("monkeypatch"))
    waiting = [*told, *dice.sample(told, len(told) // 2)]
    for _ in range(200):
        if not waiting:
            break
        dice.shuffle(waiting)
        batch, waiting = waiting[:20], waiting[20:]
        added = await usage.add(batch)
        waiting += added.failed
        waiting += [one for one in batch if dice.random() < 0.2]  # acknowledged too late, so it comes again
    assert waiting == []
    assert await rows(usage) == summed(told)


def _break_now_and_then(api: AwsApi, dice: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    send = api._send

    async def breaking(operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        fate = dice.random()
        if operation == "TransactWriteItems" and fate < 0.15:
            raise AwsFailure("InternalServerError", is_fault=False)
        if operation == "TransactWriteItems" and fate < 0.25:
            reasons = ("None", "TransactionConflict")
            raise AwsFailure("TransactionCanceledException", is_fault=False, reasons=reasons)
        answer = await send(operation, body, timeout_s)
        if operation == "TransactWriteItems" and fate < 0.4:
            raise AwsFailure("Unreachable", is_fault=dice.random() < 0.5)
        return answer

    monkeypatch.setattr(api, "_send", breaking)
