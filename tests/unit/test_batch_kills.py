"""A batch's worker dies at any moment of any state of its machine: each line is asked once at most and paid once.

The states are those of `batch.asl.json`, the moments all calls that leave the function, before and after each had its
effect; so a new state or a new call is held to the same without a test of its own.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from gateway.model.errors import AdmissionUnavailable, StorageUnavailable
from gateway.model.provider_errors import ProviderError
from tests.batch_stage import COST, Stage, chat
from tests.dying import Fate, Killed, Meets, Moment, mortal

READ, WORK, MERGE, SETTLE, GIVE_UP = (
    "Read and hold",
    "Carry out the part",
    "Merge the results",
    "Settle the bill",
    "Give up",
)
COUNT = 5


def requests() -> list[dict[str, Any]]:
    lines = [chat(f"c-{number}", "openai/gpt" if number < 3 else "groq/llama", f"text {number}") for number in range(4)]
    return [*lines, chat("refused", text="refused")]


def staged() -> Stage:
    stage = Stage.of()
    stage.provider.refused = {"refused"}
    return stage


async def check_ended(stage: Stage, batch_id: str, before: int = 0) -> dict[str, Any]:
    """With every line once, asked once at most, paid as the records say and no more than once."""
    shown = await stage.shown(batch_id)
    assert shown["status"] in ("completed", "failed", "cancelled"), shown
    assert max(stage.provider.asked.values(), default=0) <= 1, stage.provider.asked
    cost = await stage.check_books(before)
    job = await stage.job(batch_id)
    assert (job.held, job.owed) == (None, None)
    assert job.cost_nano_usd == cost
    assert all(end != "request.started" for end in stage.ends.values())
    if shown["status"] == "failed":
        assert shown["counts"]["completed"] == 0
        return shown
    output = await stage.lines_of(shown["output_file_id"])
    errors = await stage.lines_of(shown["error_file_id"])
    ids = [line["custom_id"] for line in (*output, *errors)]
    assert sorted(ids) == sorted(line["custom_id"] for line in requests()), ids
    counts = shown["counts"]
    assert (len(output), len(errors)) == (counts["completed"], counts["failed"] + counts["cancelled"])
    page = await stage.send("GET", f"/v1/batches/{batch_id}/results")
    assert sorted(json.loads(line)["custom_id"] for line in page.body.splitlines()) == sorted(ids)
    return shown


async def check_every_moment(state: str, meets: Meets = None, *, dies_whole: bool = False) -> list[dict[str, Any]]:
    """A batch for each moment of that state, in which its worker meets that."""
    shown: list[dict[str, Any]] = []
    for at in range(2_000):
        fate, stage = Fate(at, meets), staged()
        stage.fates[state], stage.dies_whole = fate, dies_whole
        batch_id = await stage.ordered(requests())
        await stage.carried_on(batch_id)
        if fate.struck is None:
            break
        await stage.swept_to_the_end()
        try:
            shown.append(await check_ended(stage, batch_id))
        except AssertionError as error:
            raise AssertionError(f"{fate.struck}, {at}: {error}") from error
    assert at >= 2, fate.passed
    return shown


@pytest.mark.parametrize("dies_whole", [False, True], ids=["worker", "execution"])
@pytest.mark.parametrize("state", [READ, WORK, MERGE, SETTLE])
async def test_wherever_a_worker_is_killed_each_line_is_asked_and_paid_once(state: str, dies_whole: bool) -> None:
    shown = await check_every_moment(state, dies_whole=dies_whole)
    if state in (MERGE, SETTLE) or (state == READ and not dies_whole):
        assert {one["counts"]["completed"] for one in shown} == {4}


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "is not answered"])
async def test_whatever_a_worker_meets_that_asks_again_each_line_ends_once(dies: bool) -> None:
    """Those that another has left, for which there was no room."""
    for at in range(2_000):
        fate, stage = Fate(at, None if dies else _fails), staged()
        stage.provider.busy.update({f"text {number}": 1_000 for number in range(3)})
        batch_id = await stage.ordered(requests())
        await stage.step(batch_id, "prepare")
        await stage.step(batch_id, "work", group=0, part=0)
        [part] = await stage.parts(batch_id)
        assert (part.again, part.totals.ended) == ((0, 1, 2), 1)
        stage.provider.busy.clear()
        stage.provider.asked.clear()
        stage.fates[WORK] = fate
        await stage.carried_on(batch_id)
        if fate.struck is None:
            break
        await stage.swept_to_the_end()
        await check_ended(stage, batch_id)
    assert at >= 2, fate.passed


async def _fails(moment: Moment) -> None:
    """The call is not answered, whether it had its effect or not."""
    port = moment.call.partition(".")[0]
    if port in ("access", "ledger"):
        raise AdmissionUnavailable("not now")
    if port in ("outbound", "credentials"):
        raise ProviderError("not now")
    if port != "events":  # never raises
        raise StorageUnavailable("not now")


@pytest.mark.parametrize("state", [READ, WORK, MERGE, SETTLE])
async def test_whichever_call_is_not_answered_each_line_ends_once(state: str) -> None:
    for one in await check_every_moment(state, _fails):
        assert one["status"] == "completed"


async def test_a_worker_that_dies_loses_no_more_lines_than_it_had_asked() -> None:
    """Those that have a result by then are kept; what was lost is paid as the tenant's policy says."""
    for lost_requests, is_paid in (("charge", True), ("release", False)):
        fate, stage = Fate("before batch_store.put_piece"), Stage.of(lost_requests=lost_requests)
        stage.fates[WORK] = fate
        batch_id = await stage.ordered([chat(f"c-{number}", text=f"text {number}") for number in range(40)])
        assert await stage.carried_on(batch_id) == "Completed"
        shown = await stage.shown(batch_id)
        lost = shown["counts"]["failed"]
        assert 1 <= lost <= 8
        errors = await stage.lines_of(shown["error_file_id"])
        assert [line["error"]["code"] for line in errors] == ["job_interrupted"] * lost
        cost = await stage.check_books()
        assert (cost > (40 - lost) * COST) == is_paid


async def test_a_worker_that_comes_back_from_the_dead_changes_nothing() -> None:
    """Its lines were given up meanwhile: what it brings is not theirs any more."""
    stage = Stage.of()
    batch_id = await stage.ordered([chat("a")])
    await stage.step(batch_id, "prepare")
    is_first = True

    async def is_overtaken(_text: str) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            stage.clock.unix_s += 46
            assert (await stage.step(batch_id, "work", group=0, part=0))["done"]

    stage.provider.on_ask = is_overtaken
    with pytest.raises(Exception, match="JobBusy"):
        await stage.step(batch_id, "work", group=0, part=0)
    assert await stage.carried_on(batch_id) == "Completed"
    shown = await stage.shown(batch_id)
    assert shown["counts"]["failed"] == 1
    assert stage.provider.asked == {"Hi": 1}
    await stage.check_books()


async def test_wherever_who_orders_a_batch_is_killed_there_is_none_or_it_ends_once() -> None:
    from gateway.entry.batches import batches_app  # noqa: PLC0415
    from tests.asgi import call  # noqa: PLC0415
    from tests.unit.conftest import KEY  # noqa: PLC0415

    outcomes = set()
    for at in range(1_000):
        fate, stage = Fate(at), staged()
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        with suppress(Killed):
            body = json.dumps({"requests": requests()}).encode()
            await call(batches_app(mortal(stage.world, fate)), body, headers, path="/v1/batches")
        if fate.struck is None:
            break
        made = (await stage.world.jobs.page("acme", 10, None, None)).jobs
        outcomes.add(bool(made))
        await stage.swept_to_the_end()
        for job in made:
            await check_ended(stage, job.id)
    assert outcomes == {True, False}


@pytest.mark.parametrize("left", [READ, WORK, MERGE, SETTLE])
async def test_wherever_a_sweep_is_killed_the_next_one_ends_what_was_left(left: str) -> None:
    moments = {READ: "after jobs.change", WORK: "before outbound.open", MERGE: "before jobs.change"}
    for at in range(2_000):
        stage = staged()
        stage.fates[left], stage.dies_whole = Fate(moments.get(left, "before ledger.settle")), True
        batch_id = await stage.ordered(requests())
        assert await stage.carried_on(batch_id) is None
        fate = Fate(at)
        for _ in range(40):
            with suppress(Killed):
                await stage.swept(None if fate.is_dead else fate)
        if fate.struck is None:
            break
        try:
            await check_ended(stage, batch_id)
        except AssertionError as error:
            raise AssertionError(f"killed {fate.struck}, {at}: {error}") from error
    assert at > 3, fate.passed
