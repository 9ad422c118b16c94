"""Functions that die anywhere, and sweepers that die anywhere: in the end every hold is gone and every book right."""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from gateway.model.errors import AdmissionUnavailable
from gateway.model.limits import Allowance
from gateway.model.record import AuditEvent, BudgetAlert, UsageRecord, Watermark
from gateway.model.tenant import User
from gateway.pipeline.sweep import Place, Swept
from tests.dying import Fate, Killed
from tests.fakes import principal
from tests.record_fakes import record
from tests.sweeping import COST, GRACE_S, TENANT, Stage


async def dead(at: int, stage: Stage | None = None) -> Stage:
    """A request whose function died at that step; fails if it did not."""
    stage = stage or Stage()
    with pytest.raises(Killed):
        await stage.chat(Fate(at))
    return stage


# The steps of one request: 0-3 reserve in both accounts, 4-5 tell, 6-9 settle both.
NOTHING_TAKEN, ONE_TAKEN, BOTH_TAKEN, TOLD, HALF_SETTLED = 0, 2, 4, 6, 8


async def held(stage: Stage) -> int:
    return sum(len(reading.holds) for reading in (await stage.books()).values())


async def test_the_steps_are_what_these_tests_think() -> None:
    fate = Fate()
    await Stage().chat(fate)
    assert fate.steps == 10
    found = {at: await held(await dead(at)) for at in range(10)}
    assert [found[at] for at in (NOTHING_TAKEN, BOTH_TAKEN, TOLD)] == [0, 2, 2]
    assert len((await dead(TOLD)).events.told) == 3


@pytest.mark.parametrize("at", range(10))
async def test_wherever_a_function_dies_the_sweep_sets_it_right(at: int) -> None:
    stage = await dead(at)
    await stage.judgement_day()
    await stage.check()
    assert await stage.judgement_day() == Swept(lag_s=0.0)


@pytest.mark.parametrize("level", ["tenant", "user"])
async def test_an_admission_that_was_not_completed_costs_nothing(level: str) -> None:
    stage = await dead(BOTH_TAKEN)
    [(account_id, name)] = [
        (account_id, name)
        for account_id, reading in (await stage.books()).items()
        for name in reading.holds
        if Place.of(account_id).level != level
    ]
    await stage.ledger.settle(account_id, name, {})
    swept = await stage.judgement_day()
    assert (swept.released, swept.lost, await held(stage)) == (1, 0, 0)
    assert await stage.used() == {}
    assert stage.told(AuditEvent) == []


async def test_a_request_that_nobody_knows_the_end_of_is_lost_and_costs_what_was_held() -> None:
    stage = await dead(BOTH_TAKEN)
    [hold] = (await stage.books())["U#acme#0#alice"].holds.values()
    assert (await stage.judgement_day()).lost == 1
    await stage.check()
    used = await stage.used()
    assert used == {"requests": 1, "lost": 1, "estimated": 1, "cost_nano_usd": hold.cost_nano_usd}
    [lost] = stage.told(UsageRecord)
    assert (lost.outcome, lost.code, lost.attempt, lost.model) == ("lost", "lost", 0, "openai/gpt-4o")
    assert (lost.provider, lost.of.key_id, lost.of.operation) == ("openai", "key_1", "chat")
    assert re.fullmatch("[0-9a-f]{32}", lost.of.trace_id)
    started, ended = stage.told(AuditEvent)
    assert (started.event, started.at_s) == ("request.started", hold.admitted_s)
    assert (ended.event, ended.facts["code"], ended.facts["cost_nano_usd"]) == (
        "request.failed",
        "lost",
        hold.cost_nano_usd,
    )


async def test_a_tenant_may_have_lost_requests_cost_nothing() -> None:
    stage = Stage()
    stage.hold(principal(msgspec.structs.replace(TENANT, lost_requests="release")))
    await dead(BOTH_TAKEN, stage)
    assert (await stage.judgement_day()).lost == 1
    assert await stage.used() == {"requests": 1, "lost": 1, "estimated": 1}
    await stage.check()


@pytest.mark.parametrize("at", [TOLD, HALF_SETTLED])
async def test_what_is_recorded_is_settled_at_its_cost(at: int) -> None:
    stage = await dead(at)
    swept = await stage.judgement_day()
    assert (swept.settled, swept.lost) == (1, 0)
    assert (await stage.used())["cost_nano_usd"] == COST
    assert list(stage.ends().values()) == [["request.completed"]]
    await stage.check()


async def test_what_was_told_in_part_is_told_to_its_end() -> None:
    stage = await dead(TOLD)
    started, usage, _ = stage.events.told
    stage.events.told[:] = [started, usage]  # the bus took two of three
    await stage.judgement_day()
    await stage.check()
    assert list(stage.ends().values()) == [["request.completed"]]


async def test_a_record_that_comes_after_the_judgement_changes_no_sum() -> None:
    stage = await dead(TOLD)
    late, stage.events.told = stage.events.told, []
    assert (await stage.judgement_day()).lost == 1
    before = await stage.used()
    stage.events.told += late
    await stage.deliver()
    assert await stage.used() == before
    assert {trouble["event"] for trouble in stage.records.troubles} == {"sweep.lost", "records.late"}
    await stage.check()


async def test_nothing_is_judged_before_its_time_has_come_through_the_queue() -> None:
    stage = await dead(BOTH_TAKEN)
    [hold] = (await stage.books())["U#acme#0#alice"].holds.values()
    stage.clock.unix_s = hold.until_s + GRACE_S + 3_600
    assert (await stage.sweep()) == Swept(lag_s=None)
    [mark] = stage.told(Watermark)
    assert mark.at_s == stage.clock.unix_s
    await stage.store.pass_watermark(hold.until_s + GRACE_S - 1)
    assert (await stage.sweep()) == Swept(lag_s=3_601.0)
    await stage.deliver()  # and with it the watermarks
    assert (await stage.sweep()) == Swept(lost=1, lag_s=0.0)


async def test_a_running_request_is_left_alone() -> None:
    stage = await dead(BOTH_TAKEN)
    [hold] = (await stage.books())["U#acme#0#alice"].holds.values()
    stage.clock.unix_s = hold.until_s + GRACE_S - 1
    await stage.store.pass_watermark(stage.clock.unix_s)
    assert await stage.sweep() == Swept(lag_s=0.0)
    assert await held(stage) == 2


async def lease_ended(stage: Stage) -> None:
    """And no watermark has come, so nothing can be judged."""
    holds = [hold for reading in (await stage.books()).values() for hold in reading.holds.values()]
    stage.clock.unix_s = max(hold.until_s for hold in holds)


async def running(stage: Stage) -> list[int]:
    return [reading.numbers["n"] for reading in (await stage.books()).values()]


async def test_what_died_runs_no_longer_than_its_lease_and_its_money_is_held_until_it_is_judged() -> None:
    stage = Stage()
    one = msgspec.convert({"limits": [{"concurrent_requests": 1}]}, Allowance)
    stage.hold(principal(msgspec.structs.replace(TENANT, allowance=one, user_allowance=one)))
    await dead(BOTH_TAKEN, stage)
    committed = {account_id: reading.numbers["c2026-09-21"] for account_id, reading in (await stage.books()).items()}
    await lease_ended(stage)
    stage.clock.unix_s -= 1
    await stage.sweep()
    assert (await running(stage), (await stage.chat()).status) == ([1, 1], 429)
    stage.clock.unix_s += 1
    for _ in range(2):
        assert await stage.sweep() == Swept()
        assert (await running(stage), await held(stage)) == ([0, 0], 2)
        books = (await stage.books()).items()
        assert {account_id: reading.numbers["c2026-09-21"] for account_id, reading in books} == committed
    assert (await stage.chat()).status == 200
    assert (await stage.judgement_day()).lost == 1
    await stage.check()


async def test_who_comes_after_the_lease_leaves_the_settling_to_the_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    settle = stage.ledger.settle

    async def late(*arguments: Any) -> Any:
        monkeypatch.setattr(stage.ledger, "settle", settle)
        await lease_ended(stage)
        await stage.sweep()
        return await settle(*arguments)

    monkeypatch.setattr(stage.ledger, "settle", late)
    assert (await stage.chat()).status == 200
    assert (await running(stage), await held(stage)) == ([0, 0], 2)
    assert (await stage.judgement_day()).settled == 1
    assert (await stage.used())["cost_nano_usd"] == COST
    await stage.check()


@pytest.mark.parametrize("died_at", range(10))
async def test_wherever_a_sweeper_dies_that_only_frees_the_next_one_ends_it(died_at: int) -> None:
    fate = Fate()
    while True:
        stage = await dead(died_at)
        stage.clock.unix_s += 1_000
        fate = Fate(fate.steps + 1 if fate.is_dead else 0)
        with suppress(Killed):
            await stage.sweep(fate)
        await asyncio.gather(stage.sweep(), stage.sweep())
        assert not any(await running(stage))
        await stage.judgement_day()
        await stage.check()
        if not fate.is_dead:
            break


async def test_what_cannot_be_freed_now_is_by_the_next_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await dead(BOTH_TAKEN)
    await lease_ended(stage)
    enlarge = stage.ledger.enlarge

    async def failing(*_: Any) -> Any:
        raise AdmissionUnavailable("not now")

    monkeypatch.setattr(stage.ledger, "enlarge", failing)
    assert await stage.sweep() == Swept()
    assert [trouble["event"] for trouble in stage.records.troubles] == ["sweep.failed"]
    monkeypatch.setattr(stage.ledger, "enlarge", enlarge)
    await stage.sweep(until_s=stage.clock.unix_s)
    assert await running(stage) == [1, 1]
    await stage.sweep()
    assert await running(stage) == [0, 0]


async def test_a_sweep_ends_as_many_as_it_may_and_the_next_goes_on() -> None:
    stage = Stage()
    for _ in range(5):
        await dead(BOTH_TAKEN, stage)
    stage.clock.unix_s += 2_000
    await stage.store.pass_watermark(stage.clock.unix_s)
    assert [(await stage.sweep(at_most=2)).lost for _ in range(4)] == [2, 2, 1, 0]
    assert (await stage.sweep(until_s=stage.clock.unix_s)).lost == 0
    await stage.deliver()
    await stage.check()


async def test_no_sweep_begins_what_it_has_no_time_for() -> None:
    stage = await dead(BOTH_TAKEN)
    stage.clock.unix_s += 2_000
    await stage.store.pass_watermark(stage.clock.unix_s)
    assert (await stage.sweep(until_s=stage.clock.unix_s)).lost == 0
    assert (await stage.sweep(until_s=stage.clock.unix_s + 1)).lost == 1


async def test_two_sweepers_at_once_do_not_count_twice() -> None:
    stage = Stage()
    for at in (BOTH_TAKEN, TOLD, HALF_SETTLED, ONE_TAKEN):
        await dead(at, stage)
    stage.clock.unix_s += 2_000
    await stage.deliver()
    await stage.store.pass_watermark(stage.clock.unix_s)
    await asyncio.gather(stage.sweep(), stage.sweep())
    await stage.deliver()
    await stage.check()


async def test_holds_of_spread_accounts_belong_together() -> None:
    stage = Stage()
    spread = principal(msgspec.structs.replace(TENANT, shards=5))
    stage.hold(msgspec.structs.replace(spread, user=User(id="alice", shards=3)))
    for _ in range(10):
        await dead(BOTH_TAKEN, stage)
    swept = await stage.judgement_day()
    assert (swept.lost, swept.released) == (10, 0)
    await stage.check()
    assert len(await stage.books()) > 4


async def test_a_mark_that_a_swept_request_passes_is_told() -> None:
    stage = Stage()
    allowance = msgspec.convert({"budgets": [{"window": "day", "usd": "0.001"}]}, Allowance)
    stage.hold(principal(msgspec.structs.replace(TENANT, allowance=allowance, user_allowance=allowance)))
    for _ in range(4):
        await dead(BOTH_TAKEN, stage)
    await stage.judgement_day()
    assert {(alert.level, alert.user_id, alert.percent) for alert in stage.told(BudgetAlert)} == {
        ("tenant", None, 50),
        ("tenant", None, 80),
        ("user", "alice", 50),
        ("user", "alice", 80),
    }


async def test_what_cannot_be_ended_now_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    for _ in range(3):
        await dead(BOTH_TAKEN, stage)
    stage.clock.unix_s += 2_000
    await stage.store.pass_watermark(stage.clock.unix_s)
    settle, answers = stage.ledger.settle, iter([False, True, True, True, True])

    async def failing_once(*arguments: Any) -> Any:
        if not next(answers):
            raise AdmissionUnavailable("not now")
        return await settle(*arguments)

    monkeypatch.setattr(stage.ledger, "settle", failing_once)
    assert await stage.sweep() == Swept(lost=2, failed=1, lag_s=0.0)
    monkeypatch.setattr(stage.ledger, "settle", settle)
    assert await stage.sweep() == Swept(lost=1, lag_s=0.0)
    await stage.deliver()
    await stage.check()


@pytest.mark.parametrize("died_at", range(10))
async def test_wherever_the_sweeper_dies_the_next_one_ends_it(died_at: int) -> None:
    """Every step of the sweeper, for every way that a function can die."""
    steps = Fate()
    await (await dead(died_at)).judgement_day(steps)
    expected = await dead(died_at)
    await expected.judgement_day()
    for at in range(steps.steps):
        stage = await dead(died_at)
        with suppress(Killed):
            await stage.judgement_day(Fate(at))
        await stage.judgement_day()
        await stage.check()
        assert await stage.used() == await expected.used()
        assert await held(stage) == 0
        assert [*stage.ends().values()] == [*expected.ends().values()]


@pytest.mark.parametrize("seed", range(3))
async def test_of_many_requests_of_which_some_die_none_is_forgotten(seed: int) -> None:
    """A third of them die at a random step, and so do sweepers; events come twice, in any order."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    stage, served = Stage(), 0
    for _ in range(150):
        with suppress(Killed):
            await stage.chat(Fate(dice.randrange(10) if dice.random() < 0.33 else None))
            served += 1
        stage.clock.unix_s += dice.random()
    for _ in range(10):
        dice.shuffle(stage.events.told)
        with suppress(Killed):
            await stage.judgement_day(Fate(dice.randrange(40)))
    await stage.judgement_day()
    await stage.check()
    assert 80 < served < 120
    assert len(stage.ends()) == (await stage.used())["requests"] >= served


async def test_nothing_that_is_told_or_logged_has_content() -> None:
    stage = await dead(BOTH_TAKEN)
    await stage.judgement_day()
    said = repr([stage.events.told, stage.records.troubles, stage.log.lines, stage.archive.objects])
    assert "very secret" not in said


async def test_records_of_others_with_the_same_name_are_not_mixed_up() -> None:
    """The name of a hold is half of a request's id."""
    stage = await dead(TOLD)
    [usage] = stage.told(UsageRecord)
    twin = record(usage.of.request_id[:-1] + ("0" if usage.of.request_id[-1] != "0" else "1"), at_s=usage.at_s)
    await stage.store.add([twin])
    await stage.judgement_day()
    assert (await stage.books())["T#acme#0"].numbers["s2026-09-21"] == COST


@pytest.mark.parametrize(
    ("account_id", "place"),
    [
        ("T#acme#7", Place("T#acme#7", "tenant", "acme", 7)),
        ("U#acme#0#a#b", Place("U#acme#0#a#b", "user", "acme", 0, "a#b")),
    ],
)
def test_an_account_s_id_says_whose_it_is(account_id: str, place: Place) -> None:
    assert Place.of(account_id) == place
