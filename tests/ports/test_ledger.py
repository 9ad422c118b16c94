"""What admission relies on of a ledger, in memory and in DynamoDB: every step is whole, and happens once."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec
import pytest

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.http_client import HttpClient
from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import (
    Account,
    Hold,
    Meter,
    Reading,
    Reserved,
    booking_ahead,
    leaving,
    settling,
    stale_numbers,
)
from gateway.ports import Ledger
from tests.ports.conftest import aws_api

NOW_S = 1_790_000_000
HOLD = Hold(until_s=NOW_S + 300, admitted_s=NOW_S, cost_nano_usd=70, rules=("", "/ab"))
DAY, MONTH = "c2026-09-21", "c2026-09"


def account(*, requests: int = 10, budget: int = 1_000, cost: int = 70) -> Account:
    meters = (
        Meter("r29833333", "requests", 1, requests),
        Meter("n", "concurrent", 1),
        Meter(DAY, "spend", cost, budget),
        Meter(MONTH, "spend", cost),
    )
    return Account("T#acme#0", "tenant", meters)


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "memory":
        return MemoryLedger()
    table = request.getfixturevalue("ledger_table")
    return DynamoLedger(request.getfixturevalue("dynamodb_api"), table, timeout_s=5.0)


async def test_a_reservation_counts_in_every_number_and_leaves_its_hold(ledger: Ledger) -> None:
    reserved = await ledger.reserve(account(), "h1", HOLD)
    assert reserved.is_held
    assert reserved.reading.numbers == {"r29833333": 1, "n": 1, DAY: 70, MONTH: 70}
    assert reserved.reading.holds == {"h1": HOLD}
    assert await ledger.read("T#acme#0") == reserved.reading


async def test_a_hold_keeps_what_is_known_of_its_request(ledger: Ledger) -> None:
    hold = msgspec.structs.replace(HOLD, request={"request_id": "req_1", "stream": True, "model": None})
    assert (await ledger.reserve(account(), "h1", hold)).reading.holds["h1"] == hold


@pytest.mark.parametrize("tight", [{"requests": 1}, {"budget": 139}])
async def test_what_does_not_fit_changes_nothing_and_is_shown_what_stands_in_its_way(
    ledger: Ledger, tight: dict[str, int]
) -> None:
    before = (await ledger.reserve(account(**tight), "h1", HOLD)).reading
    refused = await ledger.reserve(account(**tight), "h2", HOLD)
    assert not refused.is_held
    assert refused.reading == before == await ledger.read("T#acme#0")


async def test_what_just_fits_is_taken(ledger: Ledger) -> None:
    await ledger.reserve(account(requests=2, budget=140), "h1", HOLD)
    assert (await ledger.reserve(account(requests=2, budget=140), "h2", HOLD)).is_held


async def test_the_same_reservation_again_counts_once(ledger: Ledger) -> None:
    first = await ledger.reserve(account(), "h1", HOLD)
    again = await ledger.reserve(account(), "h1", HOLD)
    assert again == first


async def test_settling_puts_what_it_was_in_place_of_what_it_could_have_been(ledger: Ledger) -> None:
    hold = msgspec.structs.replace(HOLD, rules=("",))
    await ledger.reserve(account(), "h1", hold)
    settled = await ledger.settle("T#acme#0", "h1", settling(hold, 42), ["r29833333"])
    assert settled is not None
    assert settled.holds == {}
    assert settled.numbers == {"n": 0, DAY: 42, MONTH: 42, "s2026-09-21": 42, "s2026-09": 42}


async def test_settling_happens_once(ledger: Ledger) -> None:
    await ledger.reserve(account(), "h1", HOLD)
    assert await ledger.settle("T#acme#0", "h1", settling(HOLD, 42)) is not None
    after = await ledger.read("T#acme#0")
    assert await ledger.settle("T#acme#0", "h1", settling(HOLD, 42)) is None
    assert await ledger.settle("T#nobody#0", "h1", settling(HOLD, 42)) is None
    assert await ledger.read("T#acme#0") == after


MORE = Account("T#acme#0", "tenant", (Meter(DAY, "spend", 30, 1_000), Meter(MONTH, "spend", 30)))
LARGER = msgspec.structs.replace(HOLD, cost_nano_usd=100)


async def test_a_hold_is_enlarged_where_it_stands(ledger: Ledger) -> None:
    await ledger.reserve(account(), "h1", HOLD)
    for _ in range(2):  # the second time it is there already
        enlarged = await ledger.enlarge(MORE, "h1", HOLD, LARGER)
        assert enlarged.is_held
        assert enlarged.reading.holds == {"h1": LARGER}
        assert enlarged.reading.numbers == {"r29833333": 1, "n": 1, DAY: 100, MONTH: 100}


async def test_what_does_not_fit_any_more_is_held_as_it_was(ledger: Ledger) -> None:
    before = (await ledger.reserve(account(budget=99), "h1", HOLD)).reading
    tight = Account("T#acme#0", "tenant", (Meter(DAY, "spend", 30, 99),))
    assert await ledger.enlarge(tight, "h1", HOLD, LARGER) == Reserved(False, before)


async def test_a_hold_is_prolonged_as_it_is_read_and_nothing_is_added(ledger: Ledger) -> None:
    facts = {"request_id": "req_1", "arrived_s": 1790000000.25, "model": "openai/gpt"}
    before = (await ledger.reserve(account(), "h1", msgspec.structs.replace(HOLD, request=facts))).reading
    found = (await ledger.read("T#acme#0")).holds["h1"]
    longer = msgspec.structs.replace(found, until_s=found.until_s + 86_400)
    for _ in range(2):
        prolonged = await ledger.enlarge(Account("T#acme#0", "tenant", ()), "h1", found, longer)
        assert prolonged == Reserved(True, Reading(before.numbers, {"h1": longer}))
    gone = await ledger.enlarge(Account("T#acme#0", "tenant", ()), "h2", found, longer)
    assert (gone.is_held, dict(gone.reading.holds)) == (False, {"h1": longer})


async def test_only_the_hold_that_is_meant_is_enlarged(ledger: Ledger) -> None:
    other = msgspec.structs.replace(HOLD, cost_nano_usd=71)
    before = (await ledger.reserve(account(), "h1", HOLD)).reading
    assert await ledger.enlarge(MORE, "h1", other, LARGER) == Reserved(False, before)
    assert not (await ledger.enlarge(MORE, "h2", HOLD, LARGER)).is_held
    assert await ledger.read("T#acme#0") == before


async def test_of_two_holds_that_may_be_there_the_right_one_is_settled(ledger: Ledger) -> None:
    hold = msgspec.structs.replace(HOLD, rules=("",), request={"arrived_s": 1790000000.25, "model": None})
    await ledger.reserve(account(), "h1", hold)
    larger = msgspec.structs.replace(hold, cost_nano_usd=100)
    assert await ledger.settle("T#acme#0", "h1", settling(larger, 42), hold=larger) is None
    settled = await ledger.settle("T#acme#0", "h1", settling(hold, 42), hold=hold)
    assert settled is not None
    assert (settled.holds, settled.numbers[DAY]) == ({}, 42)


async def test_what_is_held_by_rule_is_settled_by_rule(ledger: Ledger) -> None:
    await ledger.reserve(account(), "h1", HOLD)
    by_rule = HOLD.holding({"": 100, "/ab": 70, "/cd": 30})
    meters = (Meter(DAY, "spend", 30), Meter(f"{DAY}/ab", "spend", 70), Meter(f"{DAY}/cd", "spend", 30))
    more = Account("T#acme#0", "tenant", meters)
    assert (await ledger.enlarge(more, "h1", HOLD, by_rule)).reading.holds == {"h1": by_rule}
    changes = settling(by_rule, 42, {"/ab": 2, "/cd": 40})
    settled = await ledger.settle("T#acme#0", "h1", changes, hold=by_rule)
    assert settled is not None
    assert [settled.numbers[f"{DAY}{rule}"] for rule in ("", "/ab", "/cd")] == [42, 2, 40]


async def test_a_hold_of_an_earlier_admission_is_not_taken_for_this_one(ledger: Ledger) -> None:
    again = msgspec.structs.replace(HOLD, admission=1)
    before = (await ledger.reserve(account(), "h1", HOLD)).reading
    assert await ledger.reserve(account(), "h1", again) == Reserved(False, before)


async def test_an_undo_that_comes_late_leaves_what_was_admitted_anew(ledger: Ledger) -> None:
    again = msgspec.structs.replace(HOLD, admission=1)
    undone = {"n": -1, DAY: -70, MONTH: -70, "r29833333": -1}
    await ledger.reserve(account(), "h1", HOLD)
    assert await ledger.settle("T#acme#0", "h1", undone, hold=HOLD) is not None
    after = await ledger.reserve(account(), "h1", again)
    assert after.is_held
    assert await ledger.settle("T#acme#0", "h1", undone, hold=HOLD) is None
    assert await ledger.read("T#acme#0") == after.reading


async def test_what_has_ended_leaves_those_that_run_once_and_stays_held(ledger: Ledger) -> None:
    reserved = await ledger.reserve(account(), "h1", HOLD)
    meters, left = leaving(HOLD)
    for _ in range(2):  # the second time it has left already
        freed = await ledger.enlarge(Account("T#acme#0", "tenant", meters), "h1", HOLD, left)
        assert (freed.is_held, freed.reading.holds) == (True, {"h1": left})
        assert freed.reading.numbers == {**reserved.reading.numbers, "n": 0, "n/ab": -1}
    assert await ledger.settle("T#acme#0", "h1", settling(HOLD, 42), (), HOLD) is None
    settled = await ledger.settle("T#acme#0", "h1", settling(left, 42), (), left)
    assert settled is not None
    assert (settled.holds, settled.numbers["n"], settled.numbers[DAY]) == ({}, 0, 42)


@pytest.mark.parametrize(
    "order", [[(50, 15), (20, 40)], [(20, 40)], [(50, 15), (50, 15), (20, 40)], [(20, 40), (50, 15)]]
)
async def test_what_a_batch_has_spent_is_booked_ahead_however_often_it_is_said(
    ledger: Ledger, order: list[tuple[int, int]]
) -> None:
    """`order`: how much was left and spent, as whoever came with it had found it. The last word counts."""
    whole = msgspec.structs.replace(HOLD, rules=("",), runs=False)
    spend = Account("T#acme#0", "tenant", (Meter(DAY, "spend", 70, 1_000), Meter(MONTH, "spend", 70)))
    hold = (await ledger.reserve(spend, "h1", whole)).reading.holds["h1"]
    for left, spent in order:
        meters, further = booking_ahead(hold, {"": left}, {"": spent})
        reserved = await ledger.enlarge(Account("T#acme#0", "tenant", meters), "h1", hold, further)
        assert reserved.is_held
        hold = reserved.reading.holds["h1"]
        assert hold == further
        assert reserved.reading.numbers[DAY] == left + spent
        assert reserved.reading.numbers[f"s{DAY[1:]}"] == spent
    after = await ledger.settle("T#acme#0", "h1", settling(hold, 43), (), hold)
    assert after is not None
    assert {after.numbers[DAY], after.numbers[MONTH], after.numbers[f"s{DAY[1:]}"]} == {43}
    assert not after.holds


async def test_what_has_no_hold_can_be_added(ledger: Ledger) -> None:
    await ledger.add("T#acme#0", {DAY: 5, "s2026-09-21": 5})
    await ledger.add("T#acme#0", {DAY: 2})
    assert (await ledger.read("T#acme#0")).numbers == {DAY: 7, "s2026-09-21": 5}


async def test_all_accounts_can_be_gone_through(ledger: Ledger) -> None:
    other = Account("U#acme#0#alice", "user", account().meters)
    for each in (account(), other):
        await ledger.reserve(each, "h1", HOLD)
    found = {account_id: reading async for account_id, reading in ledger.accounts()}
    assert found.keys() == {"T#acme#0", "U#acme#0#alice"}
    assert all(reading.holds == {"h1": HOLD} for reading in found.values())


async def test_a_race_for_the_last_of_a_budget_has_exactly_as_many_winners_as_fit() -> None:
    """Not with moto, which reads and writes in two steps: tests/e2e/test_governance.py races on the local stack."""
    ledger, tight = MemoryLedger(), account(requests=1_000, budget=1_000)
    taken = await asyncio.gather(*(ledger.reserve(tight, f"h{number}", HOLD) for number in range(60)))
    winners = [reserved for reserved in taken if reserved.is_held]
    assert len(winners) == 1_000 // 70
    assert (await ledger.read("T#acme#0")).numbers[DAY] == 70 * len(winners)


async def test_a_silent_store_refuses_in_time(aws_keys: None, http_client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        api = aws_api(http_client, url, "dynamodb", "DynamoDB_20120810", "1.0")
        ledger = DynamoLedger(api, "ledger", timeout_s=0.1)
        async with asyncio.timeout(5):
            with pytest.raises(AdmissionUnavailable):
                await ledger.reserve(account(), "h1", HOLD)
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(AdmissionUnavailable):
            await ledger.reserve(account(), "h1", HOLD)
        assert asyncio.get_running_loop().time() - began_s < 0.5  # the time to connect is given once


async def test_an_answer_that_was_lost_is_found_again(
    dynamodb_api: AwsApi, ledger_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try comes through, its answer does not: the second finds the hold of the first."""
    send, lost = dynamodb_api._send, [True]

    async def losing(operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        answer = await send(operation, body, timeout_s)
        if lost and lost.pop():
            raise AwsFailure("Unreachable", is_fault=True)
        return answer

    monkeypatch.setattr(dynamodb_api, "_send", losing)
    reserved = await DynamoLedger(dynamodb_api, ledger_table, timeout_s=5.0).reserve(account(), "h1", HOLD)
    assert reserved.is_held
    assert reserved.reading.numbers["n"] == 1


@pytest.mark.parametrize(
    ("codes", "took_nothing"),
    [
        (["ThrottlingException", "ProvisionedThroughputExceededException"], True),
        (["Unreachable", "ThrottlingException"], False),
        (["ThrottlingException", "Unreachable"], False),
        (["ThrottlingException"], None),
    ],
)
async def test_what_was_turned_away_is_known_to_hold_nothing(
    dynamodb_api: AwsApi,
    ledger_table: str,
    monkeypatch: pytest.MonkeyPatch,
    codes: list[str],
    took_nothing: bool | None,
) -> None:
    """None: the second try comes through."""
    send, left = dynamodb_api._send, list(codes)

    async def throttled(operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        if left:
            raise AwsFailure(left.pop(0), is_fault=True)
        return await send(operation, body, timeout_s)

    monkeypatch.setattr(dynamodb_api, "_send", throttled)
    ledger = DynamoLedger(dynamodb_api, ledger_table, timeout_s=5.0)
    if took_nothing is None:
        assert (await ledger.reserve(account(), "h1", HOLD)).is_held
        return
    with pytest.raises(AdmissionUnavailable) as refused:
        await ledger.reserve(account(), "h1", HOLD)
    assert (left, refused.value.took_nothing) == ([], took_nothing)


def test_numbers_of_windows_that_are_over_are_stale_and_running_ones_are_not() -> None:
    numbers = {
        "r29833333": 1,
        "r29833331": 1,
        "t29833330/ab": 9,
        "b10.178999999": 1,
        "b10.179000000": 1,
        "n": 0,
        "n/ab": 0,
        "c2026-09-21": 1,
        "s2026-09-17": 1,
        "c2026-09-17/ab": 1,
        "c2026-09": 1,
        "s2026-07": 1,
        "s2026-06": 1,
    }
    stale = set(stale_numbers(Reading(numbers), NOW_S))
    assert stale == {"r29833331", "t29833330/ab", "b10.178999999", "s2026-09-17", "c2026-09-17/ab", "s2026-06"}
    old = msgspec.structs.replace(HOLD, admitted_s=NOW_S - 4 * 86_400)
    assert "c2026-09-17/ab" not in stale_numbers(Reading(numbers, {"h1": old}), NOW_S)
