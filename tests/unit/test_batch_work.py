"""Batches from their lines to their results and their bill, whatever becomes of single lines."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import openai.types
import pytest
from msgspec.structs import replace

from gateway.batch_ports import LinesAtOnce
from gateway.model.batch import part_name
from gateway.model.catalog import ModelFacts
from gateway.model.errors import AdmissionUnavailable
from gateway.model.job import LONGEST_S
from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Budget
from gateway.model.record import BudgetAlert, UsageRecord
from gateway.pipeline.batch_work import carry_out
from gateway.pipeline.job_record import JobBusy
from tests.batch_stage import ACCOUNTS, COST, Stage, chat, chats
from tests.dying import Fate, Moment
from tests.fakes import ScriptedHooks
from tests.sweeping import Stage as Sweeping
from tests.unit.test_hooks import hook


async def completed(stage: Stage, requests: list[Any], **order: Any) -> dict[str, Any]:
    batch_id = await stage.ordered(requests, **order)
    assert await stage.carried_on(batch_id) == "Completed"
    return await stage.shown(batch_id)


async def test_a_batch_is_answered_line_by_line_and_paid_once() -> None:
    stage = Stage.of()
    shown = await completed(stage, chats(120))
    assert shown["status"] == "completed"
    assert shown["request_counts"] == {"total": 120, "completed": 120, "failed": 0}
    assert shown["counts"] == {"pending": 0, "in_progress": 0, "completed": 120, "failed": 0, "cancelled": 0}
    assert shown["usage"] == {
        "input_tokens": 1_200,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 600,
        "output_tokens_details": {"reasoning_tokens": 240},
        "total_tokens": 1_800,
    }
    assert shown["cost_estimate"] == pytest.approx(120 * COST / 10**9)
    assert shown["error_file_id"] is None
    lines = await stage.lines_of(shown["output_file_id"])
    assert {line["custom_id"] for line in lines} == {f"c-{number}" for number in range(120)}
    by_id = {line["custom_id"]: line for line in lines}
    seventh = by_id["c-7"]
    assert seventh["error"] is None
    assert seventh["id"] == f"batch_{seventh['response']['request_id']}"
    assert seventh["response"]["status_code"] == 200
    assert seventh["response"]["body"]["choices"][0]["message"]["content"] == "re: text 7"
    assert set(stage.provider.asked.values()) == {1}
    assert await stage.check_books() == 120 * COST


async def test_the_object_has_what_openais_own_client_expects() -> None:
    stage = Stage.of()
    shown = await shown_of(stage, await stage.ordered_by_file(chats(3)))
    known = openai.types.Batch.model_validate(shown)
    assert known.usage is not None
    assert known.usage.output_tokens_details.reasoning_tokens == 6


async def shown_of(stage: Stage, batch_id: str) -> dict[str, Any]:
    await stage.carried_on(batch_id)
    return await stage.shown(batch_id)


async def test_each_line_has_a_usage_record_that_names_its_batch() -> None:
    stage = Stage.of()
    shown = await completed(stage, chats(3))
    records = [told for told in stage.told if isinstance(told, UsageRecord) and told.attempt]
    assert [record.of.batch_id for record in records] == [shown["id"]] * 3
    assert {record.of.operation for record in records} == {"chat"}
    assert len({record.of.request_id for record in records}) == 3
    lines = await stage.lines_of(shown["output_file_id"])
    assert {line["response"]["request_id"] for line in lines} == {record.of.request_id for record in records}


async def test_a_line_that_its_provider_refuses_is_in_the_file_of_errors() -> None:
    stage = Stage.of()
    stage.provider.refused = {"text 1"}
    shown = await completed(stage, chats(3))
    assert shown["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    [line] = await stage.lines_of(shown["error_file_id"])
    assert (line["custom_id"], line["response"]["status_code"]) == ("c-1", 400)
    assert line["response"]["body"]["error"]["code"]
    assert len(await stage.lines_of(shown["output_file_id"])) == 2
    assert await stage.check_books() == 2 * COST


async def test_lines_of_several_models_are_each_asked_at_their_own() -> None:
    stage = Stage.of()
    shown = await completed(stage, [chat("a"), chat("b", model="groq/llama", text="Ho")])
    assert shown["models"] == ["groq/llama", "openai/gpt"]
    records = [told for told in stage.told if isinstance(told, UsageRecord) and told.attempt]
    assert {record.provider for record in records} == {"openai", "groq"}
    await stage.check_books()


async def test_a_defect_in_one_line_is_no_others() -> None:
    stage = Stage.of()

    async def stumbles(text: str) -> None:
        if text == "text 1":
            raise ZeroDivisionError

    stage.provider.on_ask = stumbles
    shown = await completed(stage, chats(3))
    assert shown["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    [line] = await stage.lines_of(shown["error_file_id"])
    assert line["response"]["body"]["error"]["code"] == "internal_error"
    await stage.check_books()


async def test_a_line_that_its_provider_has_no_room_for_waits_and_is_asked_again() -> None:
    stage = Stage.of()
    stage.provider.busy["text 1"] = 4
    shown = await completed(stage, chats(3))
    assert shown["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    assert stage.provider.asked["text 1"] == 5
    assert await stage.check_books() == 3 * COST


async def test_one_that_it_has_no_room_for_for_hours_is_asked_until_it_has() -> None:
    """And nobody is paid for waiting: a worker that gets nowhere goes, and another comes minutes later."""
    stage = Stage.of()
    from_s = stage.clock.unix_s

    async def is_down(text: str) -> None:
        stage.provider.busy[text] = int(stage.clock.unix_s < from_s + 5 * 3600)

    stage.provider.on_ask = is_down
    shown = await completed(stage, chats(20))
    assert shown["request_counts"] == {"total": 20, "completed": 20, "failed": 0}
    assert 5 * 3600 < stage.clock.unix_s - from_s < 5 * 3600 + 600
    worked_s = stage.clock.running_s - 100
    assert worked_s < 5 * 3600 / 2
    assert await stage.check_books() == 20 * COST


async def test_one_that_it_never_has_room_for_expires() -> None:
    stage = Stage.of()
    stage.provider.busy["text 1"] = 100_000
    batch_id = await stage.ordered(chats(3))
    assert await stage.carried_on(batch_id) == "Failed"
    shown = await stage.shown(batch_id)
    assert (shown["status"], shown["request_counts"]["completed"]) == ("expired", 2)
    [line] = await stage.lines_of(shown["error_file_id"])
    assert (line["custom_id"], line["error"]["code"]) == ("c-1", "batch_expired")
    assert await stage.check_books() == 2 * COST


async def test_one_that_waits_for_room_waits_no_more_once_the_batch_is_cancelled() -> None:
    stage = Stage.of()
    stage.provider.busy.update({f"text {number}": 100_000 for number in range(20)})
    batch_id, from_s = await stage.ordered(chats(20)), stage.clock.unix_s

    async def cancels(_text: str) -> None:
        if stage.clock.unix_s > from_s + 20:
            await stage.send("POST", f"/v1/batches/{batch_id}/cancel")

    stage.provider.on_ask = cancels
    assert await stage.carried_on(batch_id) == "Cancelled"
    shown = await stage.shown(batch_id)
    assert shown["counts"]["cancelled"] == 20
    assert stage.clock.unix_s - from_s < 400
    assert await stage.check_books() == 0


async def test_a_worker_that_dies_asking_again_loses_what_it_had_asked_and_no_more() -> None:
    stage = Stage.of()
    stage.provider.busy.update({f"text {number}": 100_000 for number in range(20)})
    batch_id = await stage.ordered(chats(20))
    await stage.step(batch_id, "prepare")
    assert await stage.step(batch_id, "work", group=0, part=0) == {"done": False, "wait_s": 300}
    [part] = await stage.parts(batch_id)
    assert (part.asked, part.again, part.totals.ended) == (8, tuple(range(8)), 0)
    assert (await stage.shown(batch_id))["counts"]["in_progress"] == 0
    stage.provider.busy.clear()

    stage.fates["Carry out the part"] = Fate("after batch_store.put_piece")
    await stage.carried_on(batch_id)
    shown = await stage.shown(batch_id)
    assert stage.fates["Carry out the part"].struck is not None
    assert shown["request_counts"]["total"] == 20 == sum(shown["counts"].values())
    assert shown["counts"]["completed"] >= 12
    await stage.check_books()


async def test_no_more_lines_are_asked_at_once_than_may_be() -> None:
    stage = Stage.of()
    now = most = 0

    async def counted(_text: str) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    stage.provider.on_ask = counted
    await completed(stage, chats(30))
    assert 1 < most <= 8


async def test_a_provider_may_have_a_number_of_its_own_of_lines_at_once() -> None:
    stage, now, most = Stage.of(), Counter[str](), Counter[str]()
    stage.world = replace(stage.world, lines_at_once=LinesAtOnce.of("3, groq=1,openai=20"))

    async def counted(text: str) -> None:
        provider = text.partition(" ")[0]
        now[provider] += 1
        most[provider] = max(most[provider], now[provider])
        for _ in range(5):
            await asyncio.sleep(0)
        now[provider] -= 1

    stage.provider.on_ask = counted
    for model in ("openai/gpt", "groq/llama"):
        await completed(stage, [chat(f"{n}", model, f"{model} {n}") for n in range(30)])
    assert most == {"openai/gpt": 20, "groq/llama": 1}
    assert stage.world.lines_at_once.at("anthropic/claude") == 3


async def test_what_was_spent_is_booked_as_parts_end() -> None:
    """And what they cannot cost any more is free for others."""
    stage = Stage.of()
    batch_id = await stage.ordered(chats(120))
    await stage.step(batch_id, "prepare")
    held = (await stage.batch(batch_id)).groups[0].held_nano_usd
    assert (await stage.numbers())["c"] == held
    await stage.step(batch_id, "work", group=0, part=1)
    [part] = await stage.parts(batch_id)
    for account_id in ACCOUNTS:
        numbers = await stage.numbers(account_id)
        assert numbers["s"] == 50 * COST
        assert numbers["c"] == held - part.totals.held_nano_usd + 50 * COST
    await stage.carried_on(batch_id)
    assert await stage.check_books() == 120 * COST


async def test_each_rule_has_what_falls_under_it_before_and_after() -> None:
    budgets = (Budget(window="month", usd=Decimal(1), models="groq/*"), Budget(window="month", usd=Decimal(1)))
    stage = Stage.of(allowance=Allowance(budgets=budgets))

    async def under(rule: str) -> tuple[int, int]:
        numbers = (await stage.world.ledger.read(ACCOUNTS[0])).numbers
        month = next(name for name in numbers if name[0] == "c" and len(name) == len("c2026-09"))
        return numbers.get(f"c{month[1:]}{rule}", 0), numbers.get(f"s{month[1:]}{rule}", 0)

    batch_id = await stage.ordered([*chats(60), *[chat(f"g-{n}", "groq/llama", f"g {n}") for n in range(60)]])
    await stage.step(batch_id, "prepare")
    first, second = (group.held_nano_usd for group in (await stage.batch(batch_id)).groups)
    groq = suffix("groq/*")
    assert (await under(groq), await under("")) == ((second, 0), (first + second, 0))
    await stage.step(batch_id, "work", group=0, part=0)
    assert await under(groq) == (second, 0)
    await stage.step(batch_id, "work", group=1, part=0)
    left = second - (await stage.parts(batch_id))[1].totals.held_nano_usd
    assert await under(groq) == (50 * COST + left, 50 * COST)
    await stage.carried_on(batch_id)
    assert (await under(groq), await under("")) == ((60 * COST, 60 * COST), (120 * COST, 120 * COST))


async def test_what_cannot_be_booked_in_between_is_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(chats(120))
    await stage.step(batch_id, "prepare")
    with monkeypatch.context() as broken:

        async def silent(*_: Any) -> Any:
            raise AdmissionUnavailable("not now")

        broken.setattr(stage.world.ledger, "enlarge", silent)
        await stage.step(batch_id, "work", group=0, part=0)
    await stage.carried_on(batch_id)
    assert await stage.check_books() == 120 * COST


async def test_a_budget_is_told_of_once_when_a_batch_brings_it_to_its_mark() -> None:
    stage = Stage.of(allowance=Allowance(budgets=(Budget(window="month", usd=Decimal("0.01")),), alerts=(15,)))
    await completed(stage, chats(100))
    alerts = {told.id for told in stage.told if isinstance(told, BudgetAlert)}
    assert len(alerts) == 1


async def test_what_the_sweep_of_holds_ends_keeps_what_was_booked() -> None:
    """Of a batch that nobody ends, whatever the reason, for longer than it may last."""
    stage = Stage.of()
    batch_id = await stage.ordered(chats(60))
    await stage.step(batch_id, "prepare")
    await stage.step(batch_id, "work", group=0, part=0)
    sweeping = Sweeping(ledger=stage.world.ledger, clock=stage.clock)
    stage.clock.unix_s += 2 * LONGEST_S
    await sweeping.judgement_day()
    for account_id in ACCOUNTS:
        reading = await stage.world.ledger.read(account_id)
        assert not reading.holds
        spent = {name: value for name, value in reading.numbers.items() if name[0] in "cs" and value}
        assert set(spent.values()) == {50 * COST}


async def test_two_workers_are_never_at_one_part() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(chats(3))
    await stage.step(batch_id, "prepare")
    job, outcomes = await stage.job(batch_id), list[Any]()

    async def another(_text: str) -> None:
        try:
            outcomes.append(await carry_out(job, 0, 0, stage.world))
        except JobBusy as busy:
            outcomes.append(busy)

    stage.provider.on_ask = another
    await stage.step(batch_id, "work", group=0, part=0)
    assert [type(outcome) for outcome in outcomes] == [JobBusy] * 3
    assert set(stage.provider.asked.values()) == {1}


async def test_a_worker_that_has_no_time_left_leaves_the_rest_to_the_next() -> None:
    stage = Stage.of()

    async def takes_long(_text: str) -> None:
        stage.clock.running_s += 100

    stage.provider.on_ask = takes_long
    batch_id = await stage.ordered(chats(50))
    await stage.step(batch_id, "prepare")
    assert not (await stage.step(batch_id, "work", group=0, part=0))["done"]
    [part] = await stage.parts(batch_id)
    assert (part.totals.ended, part.totals.ended < 50) == (part.asked, True)
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    assert shown["request_counts"] == {"total": 50, "completed": 50, "failed": 0}
    assert set(stage.provider.asked.values()) == {1}


# -- Cancelled, expired ----------------------------------------------------------------------------------------------


async def cancelled_at(stage: Stage, text: str, count: int = 120) -> str:
    """A batch that is cancelled while that line is asked."""
    batch_id = await stage.ordered(chats(count))

    async def cancels(asked: str) -> None:
        if asked == text:
            answer = await stage.send("POST", f"/v1/batches/{batch_id}/cancel")
            assert (answer.status, answer.json["status"]) == (200, "cancelling"), answer.body

    stage.provider.on_ask = cancels
    return batch_id


async def test_what_was_asked_before_a_cancel_is_kept_and_the_rest_is_not_paid() -> None:
    stage = Stage.of()
    batch_id = await cancelled_at(stage, "text 60")
    assert await stage.carried_on(batch_id) == "Cancelled"
    shown = await stage.shown(batch_id)
    counts = shown["counts"]
    assert shown["status"] == "cancelled"
    assert shown["cancelling_at"] and shown["cancelled_at"]
    assert 60 < counts["completed"] < 80
    assert counts["completed"] == len(stage.provider.asked)
    assert counts["cancelled"] == 120 - counts["completed"]
    assert len(await stage.lines_of(shown["output_file_id"])) == counts["completed"]
    errors = await stage.lines_of(shown["error_file_id"])
    assert {(line["response"], line["error"]["code"]) for line in errors} == {(None, "batch_cancelled")}
    assert await stage.check_books() == counts["completed"] * COST


async def test_one_that_is_cancelled_before_it_begins_asks_nothing() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(chats(3))
    await stage.send("POST", f"/v1/batches/{batch_id}/cancel")
    assert await stage.carried_on(batch_id) == "Cancelled"
    assert (await stage.shown(batch_id))["status"] == "cancelled"
    assert not stage.provider.asked
    assert await stage.check_books() == 0


@pytest.mark.parametrize("moment", ["before batch_store.put_lines", "before ledger.reserve", "after ledger.reserve"])
async def test_one_that_is_cancelled_while_it_is_read_gives_back_what_was_held(moment: str) -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(chats(3))

    async def cancels(_: Moment) -> None:
        await stage.send("POST", f"/v1/batches/{batch_id}/cancel")

    stage.fates["Read and hold"] = Fate(moment, cancels)
    assert await stage.carried_on(batch_id) == "Cancelled"
    assert stage.fates["Read and hold"].struck is not None
    assert not stage.provider.asked
    assert await stage.check_books() == 0


async def test_one_that_has_ended_stays_as_it_is_when_it_is_cancelled() -> None:
    stage = Stage.of()
    shown = await completed(stage, chats(3))
    answer = await stage.send("POST", f"/v1/batches/{shown['id']}/cancel")
    assert (answer.status, answer.json) == (200, shown)


async def test_lines_that_nobody_asked_in_time_have_expired() -> None:
    stage = Stage.of()

    async def a_day_goes_by(text: str) -> None:
        if text == "text 20":
            stage.clock.unix_s += LONGEST_S

    stage.provider.on_ask = a_day_goes_by
    batch_id = await stage.ordered(chats(60))
    assert await stage.carried_on(batch_id) == "Failed"
    shown = await stage.shown(batch_id)
    assert shown["status"] == "expired"
    errors = await stage.lines_of(shown["error_file_id"])
    assert {line["error"]["code"] for line in errors} == {"batch_expired"}
    assert shown["counts"]["completed"] + len(errors) == 60
    await stage.check_books()


async def test_what_a_tenant_has_left_when_it_is_disabled_is_not_asked() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(chats(60))
    await stage.step(batch_id, "prepare")
    await stage.step(batch_id, "work", group=0, part=0)
    stage.set_tenant(status="disabled")
    await stage.carried_on(batch_id)
    stage.set_tenant(status="active")
    shown = await stage.shown(batch_id)
    assert shown["request_counts"] == {"total": 60, "completed": 50, "failed": 10}
    errors = await stage.lines_of(shown["error_file_id"])
    assert {line["error"]["code"] for line in errors} == {"tenant_disabled"}


async def test_what_a_tenant_that_is_disabled_has_not_asked_yet_is_not_asked() -> None:
    """Also by a worker that began before."""
    stage = Stage.of()

    async def disables(text: str) -> None:
        if text == "text 10":
            stage.set_tenant(status="disabled")

    stage.provider.on_ask = disables
    batch_id = await stage.ordered(chats(50))
    await stage.carried_on(batch_id)
    assert len(stage.provider.asked) <= 24
    stage.set_tenant(status="active")
    errors = await stage.lines_of((await stage.shown(batch_id))["error_file_id"])
    assert {line["error"]["code"] for line in errors} == {"tenant_disabled"}
    assert len(errors) == 50 - len(stage.provider.asked)


# -- Hooks -----------------------------------------------------------------------------------------------------------


def hooked(stage: Stage, answer: dict[str, Any]) -> None:
    stage.set_tenant(hooks=(hook(),))
    assert isinstance(stage.world.hooks, ScriptedHooks)
    stage.world.hooks.answers["lambda"] = answer


def lengthened(text: str) -> dict[str, Any]:
    return {"action": "modify", "patch": {"messages": [{"role": "user", "content": text}]}}


async def test_a_line_that_a_hook_blocks_is_answered_with_that() -> None:
    stage = Stage.of()
    hooked(stage, {"action": "block", "reason": "no"})
    shown = await completed(stage, chats(2))
    errors = await stage.lines_of(shown["error_file_id"])
    assert [line["response"]["body"]["error"]["code"] for line in errors] == ["request_blocked"] * 2
    assert not stage.provider.asked
    assert await stage.check_books() == 0


async def test_what_a_hook_adds_to_a_line_is_held_besides_until_its_part_is_booked() -> None:
    stage = Stage.of()
    hooked(stage, lengthened("x" * 800))
    batch_id = await stage.ordered(chats(3))
    await stage.step(batch_id, "prepare")
    held, most = (await stage.numbers())["c"], 0

    async def looks(_text: str) -> None:
        nonlocal most
        most = max(most, (await stage.numbers())["c"])

    stage.provider.on_ask = looks
    await stage.carried_on(batch_id)
    assert most > held + 3 * 700 * 1_000
    assert await stage.check_books() == 3 * COST


async def test_a_line_that_a_hook_makes_too_dear_fails_alone() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(chats(1))
    await stage.step(batch_id, "prepare")
    held = (await stage.batch(batch_id)).groups[0].held_nano_usd
    budget = Budget(window="month", usd=Decimal(held + 1) / 10**9)
    hooked(stage, lengthened("x" * 800))
    stage.set_tenant(allowance=Allowance(budgets=(budget,)))
    await stage.carried_on(batch_id)
    shown = await stage.shown(batch_id)
    [line] = await stage.lines_of(shown["error_file_id"])
    assert line["response"]["body"]["error"]["code"] == "budget_exceeded"
    assert not stage.provider.asked
    assert await stage.check_books() == 0


async def test_a_line_is_answered_by_the_model_that_it_names_whatever_a_hook_says() -> None:
    stage = Stage.of()
    hooked(stage, {"action": "modify", "patch": {"model": "groq/llama"}})
    shown = await completed(stage, chats(1))
    assert shown["request_counts"]["failed"] == 1
    assert not stage.provider.asked
    await stage.check_books()


# -- Results while it runs -------------------------------------------------------------------------------------------


async def read_on(stage: Stage, batch_id: str, after: str = "", limit: int = 100) -> tuple[list[str], str, bool]:
    answer = await stage.send("GET", f"/v1/batches/{batch_id}/results?limit={limit}&after={after}")
    assert answer.status == 200, answer.body
    ids = [json.loads(line)["custom_id"] for line in answer.body.splitlines()]
    return ids, answer.headers["x-next-after"], answer.headers["x-has-more"] == "true"


async def test_results_are_read_while_the_rest_still_runs() -> None:
    stage, seen, place = Stage.of(), list[str](), ""
    batch_id = await stage.ordered([*chats(70), *[chat(f"o-{n}", model="groq/llama") for n in range(3)]])
    await stage.step(batch_id, "prepare")
    for group, part in ((0, 1), (1, 0), (0, 0)):
        await stage.step(batch_id, "work", group=group, part=part)
        has_more = True
        while has_more:
            ids, place, has_more = await read_on(stage, batch_id, place, limit=7)
            assert len(ids) <= 7
            seen += ids
    assert len(seen) == len(set(seen)) == 73
    assert await read_on(stage, batch_id, place) == ([], place, False)
    await stage.carried_on(batch_id)
    assert await read_on(stage, batch_id, place) == ([], place, False)
    assert len((await read_on(stage, batch_id, limit=1_000))[0]) == 73


async def test_a_place_in_results_stays_short_however_they_came() -> None:
    """Also where every part was read to its end before it was known to be done."""
    stage, place = Stage.of(), ""
    batch_id = await stage.ordered(chats(1_000))
    await stage.step(batch_id, "prepare")
    store = stage.world.batch_parts
    for number in range(20):
        await stage.step(batch_id, "work", group=0, part=number)
        part = await store.find("acme", batch_id, 0, number)
        assert part is not None
        store.held["acme", batch_id, part.name] = replace(part, is_done=False)  # type: ignore[attr-defined]
        ids, place, _ = await read_on(stage, batch_id, place)
        assert len(ids) == 50
        store.held["acme", batch_id, part.name] = part  # type: ignore[attr-defined]
    ids, short, has_more = await read_on(stage, batch_id, place)
    assert (ids, has_more) == ([], False)
    assert len(short) < 20


def place_of(*kept: Any) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(kept)).decode().rstrip("=")


async def test_a_place_that_no_page_gave_is_refused() -> None:
    """Above all one that would be a lot of work, or none that leads anywhere."""
    stage = Stage.of()
    shown = await completed(stage, chats(1))
    _, given, _ = await read_on(stage, shown["id"])
    mark, stretches, at = msgspec.msgpack.decode(urlsafe_b64decode(given + "=" * (-len(given) % 4)))
    assert (stretches, at) == ([[0, 0]], [])
    made_up = (
        place_of(mark, [(0, 2**40)], []),
        place_of(mark, [(-(2**40), 0)], []),
        place_of(mark, [(0, 0)] * 1_000 + [(0, 1)], []),
        place_of(mark, [], [(0, -1, 0)]),
        place_of(mark + 1, [(0, 0)], []),
    )
    for place in ("x", "AAAA", "kpA", *made_up):
        answer = await stage.send("GET", f"/v1/batches/{shown['id']}/results?after={place}")
        assert (answer.status, answer.json["error"]["param"]) == (400, "after"), place


async def test_a_place_in_the_results_of_another_batch_is_refused() -> None:
    """Else lines would be left out."""
    stage = Stage.of()
    one, other = await completed(stage, chats(3)), await completed(stage, chats(3))
    _, place, _ = await read_on(stage, one["id"])
    answer = await stage.send("GET", f"/v1/batches/{other['id']}/results?after={place}")
    assert (answer.status, answer.json["error"]["param"]) == (400, "after")


async def test_batches_are_listed_newest_first_and_are_no_jobs() -> None:
    stage = Stage.of()
    ids = []
    for _ in range(3):
        ids.append(await stage.ordered(chats(1)))
        stage.clock.unix_s += 1
        await stage.carried_on(ids[-1])
    listed = (await stage.send("GET", "/v1/batches?limit=2")).json
    assert ([one["id"] for one in listed["data"]], listed["has_more"]) == (ids[:0:-1], True)
    rest = (await stage.send("GET", f"/v1/batches?after={listed['last_id']}")).json
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (ids[:1], False)


async def test_results_that_somebody_has_deleted_are_missed_aloud() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(chats(20))
    await stage.step(batch_id, "prepare")
    await stage.step(batch_id, "work", group=0, part=0)
    store = stage.world.batch_store
    del store.held["acme", batch_id, "results", part_name(0, 0), 0]  # type: ignore[attr-defined]  # of what keeps it
    await stage.carried_on(batch_id)
    assert len(await stage.lines_of((await stage.shown(batch_id))["output_file_id"])) == 12
    told = stage.world.records.troubles  # type: ignore[attr-defined]  # of what keeps them
    assert told == [{"event": "batch.results_missing", "job_id": batch_id, "place": f"{part_name(0, 0)}/0"}]


async def test_what_a_list_shows_is_read_some_at_a_time() -> None:
    stage, now, most = Stage.of(allowance=Allowance()), 0, 0
    for _ in range(20):
        await stage.step(await stage.ordered(chats(1)), "prepare")
    read = stage.world.batch_parts.all

    async def counted(tenant_id: str, batch_id: str) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return await read(tenant_id, batch_id)

    stage.world.batch_parts.all = counted  # type: ignore[method-assign]
    listed = (await stage.send("GET", "/v1/batches?limit=20")).json["data"]
    assert len({one["id"] for one in listed}) == 20
    assert [one["id"] for one in listed] == sorted(one["id"] for one in listed)  # newest first
    assert most == 8


async def test_a_batch_that_is_none_is_not_found() -> None:
    stage = Stage.of()
    for batch_id in ("batch_1", "job_ubnc4k9oek8ip3vd34ll6bbg3", "batch_ubnc4k9oek8ip3vd34ll6bbg3"):
        for method, path in (("GET", ""), ("POST", "/cancel"), ("GET", "/results")):
            answer = await stage.send(method, f"/v1/batches/{batch_id}{path}")
            assert (answer.status, answer.json["error"]["code"]) == (404, "batch_not_found"), (method, path)


async def test_no_word_of_its_lines_is_kept_after_its_end_but_in_its_results() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered(chats(60))
    await stage.carried_on(batch_id)
    kept = [key for key in stage.world.batch_store.held if "results" not in key]  # type: ignore[attr-defined]
    assert kept == []
    assert batch_id not in stage.world.payloads.held  # type: ignore[attr-defined]


async def test_what_a_model_without_a_price_costs_is_not_told_as_nothing() -> None:
    stage = Stage.of(allowance=Allowance())
    stage.world.catalog.held["groq"]["free"] = ModelFacts(id="free", name="free")  # type: ignore[attr-defined]
    shown = await completed(stage, [chat("a"), chat("b", model="groq/free", text="Ho")])
    assert (shown["request_counts"]["completed"], shown["cost_estimate"]) == (2, None)
    assert await stage.check_books() == COST


async def test_its_files_are_kept_as_long_as_the_order_says() -> None:
    stage = Stage.of()
    shown = await completed(stage, chats(1), output_expires_after={"anchor": "created_at", "seconds": 7_200})
    file = await stage.world.files.head("acme", shown["output_file_id"])
    assert file.expires_at_s == file.created_at_s + 7_200
    shown = await completed(stage, chats(1))
    file = await stage.world.files.head("acme", shown["output_file_id"])
    assert file.expires_at_s == file.created_at_s + 30 * 24 * 3_600


async def test_a_file_that_is_deleted_before_it_is_read_fails_the_batch() -> None:
    stage = Stage.of()
    batch_id = await stage.ordered_by_file(chats(1))
    await stage.world.files.delete("acme", (await stage.batch(batch_id)).input_file_id or "")
    assert await stage.carried_on(batch_id) == "Failed"
    shown = await stage.shown(batch_id)
    assert [error["code"] for error in shown["errors"]["data"]] == ["file_not_found"]
    assert await stage.check_books() == 0


async def test_its_end_is_told_to_its_webhook() -> None:
    stage = Stage.of()
    shown = await completed(stage, chats(2), webhook_url="https://hooks.example.com/batches")
    [message] = stage.world.webhook_sender.sent  # type: ignore[attr-defined]
    told = json.loads(message.body)
    assert told["type"] == "batch.completed"
    assert (told["data"]["id"], told["data"]["output_file_id"]) == (shown["id"], shown["output_file_id"])
    assert (told["data"]["completed"], told["data"]["failed"]) == (2, 0)
