"""A job's worker dies at any moment of any state of its machine: it ends all the same, once, and is settled once.

The states are those of `job.asl.json`, the moments all calls that leave the function, before and after each had its
effect; so a new state or a new call is held to the same without a test of its own.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import pytest

from gateway.model.errors import AdmissionUnavailable, StorageUnavailable
from gateway.model.job import KEPT_S
from gateway.model.provider_errors import ProviderError
from tests.dying import Fate, Killed, Meets, Moment
from tests.fakes import MemoryJobs
from tests.job_stage import COSTS, Stage
from tests.machine import TASKS

ASK, WAIT, SETTLE, GIVE_UP = "Ask the provider", "Wait for the provider", "Settle the bill", "Give up"
CALL, TELL = "Wait to be called back", "Tell the caller"


@dataclass(frozen=True)
class Way:
    """How a job comes to a state. `after`: the state that fails for good before it, and the moment that it fails in."""

    kind: str
    after: tuple[str, str] | None = None
    is_silent: bool = False

    def __str__(self) -> str:
        how = ", never" if self.is_silent else ""
        return self.kind + how if self.after is None else f"{self.kind}, {self.after[1]}"


PASSING = [Way("falling"), Way("passed on"), Way("taken over")]
WAYS = {
    ASK: [Way("chat"), Way("large"), Way("refused"), Way("background"), Way("video"), Way("called"), *PASSING],
    CALL: [Way("called"), Way("called", is_silent=True)],
    WAIT: [Way("background"), Way("video"), Way("called"), Way("falling"), Way("taken over")],
    TELL: [Way("told")],
    SETTLE: [Way("chat"), Way("refused"), Way("video")],
    GIVE_UP: [
        Way("chat", (ASK, "before jobs.get")),
        Way("chat", (ASK, "before outbound.open")),
        Way("chat", (ASK, "after outbound.open.whole")),
        Way("chat", (SETTLE, "before ledger.settle")),
        Way("background", (ASK, "after outbound.open.whole")),
        Way("background", (WAIT, "before jobs.change")),
        Way("video", (ASK, "after outbound.open.whole")),
        Way("video", (WAIT, "before jobs.change")),
        Way("video", (WAIT, "before files.put_stream")),
        Way("video", (SETTLE, "before jobs.get")),
        Way("falling", (ASK, "after outbound.open.whole")),
        Way("passed on", (ASK, "after outbound.open.whole")),
        Way("taken over", (ASK, "after outbound.open.whole")),
        Way("falling", (WAIT, "before jobs.change")),
    ],
}
KILLS = [pytest.param(state, way, id=f"{state}: {way}") for state in TASKS for way in WAYS[state]]


def staged(state: str, way: Way, fate: Fate) -> Stage:
    stage = Stage.of(way.kind)
    stage.is_silent = way.is_silent
    if way.after is not None:
        stage.fates[way.after[0]] = Fate(way.after[1])
        stage.impatient = frozenset([way.after[0]])
    stage.fates[state] = fate
    return stage


async def check_every_moment(state: str, way: Way, meets: Meets = None, *, dies_whole: bool = False) -> None:
    """A job for each moment of that state, in which its worker meets that."""
    for at in range(1_000):
        fate = Fate(at, meets)
        stage = staged(state, way, fate)
        stage.dies_whole = dies_whole
        job_id = await stage.ordered()
        await stage.carried_on(job_id)
        if fate.struck is None:
            break
        await stage.swept_to_the_end()
        try:
            await stage.check_ended(job_id, "completed", "failed")
        except AssertionError as error:
            raise AssertionError(f"{fate.struck}, {at}") from error
    assert at >= 2, fate.passed


@pytest.mark.parametrize("dies_whole", [False, True], ids=["worker", "execution"])
@pytest.mark.parametrize(("state", "way"), KILLS)
async def test_wherever_a_worker_is_killed_its_job_ends_once(state: str, way: Way, dies_whole: bool) -> None:
    await check_every_moment(state, way, dies_whole=dies_whole and way.after is None)


async def _fails(moment: Moment) -> None:
    """The call is not answered, whether it had its effect or not."""
    port = moment.call.partition(".")[0]
    if port in ("access", "ledger"):
        raise AdmissionUnavailable("not now")
    if port in ("outbound", "downloads", "credentials"):
        raise ProviderError("not now")
    if port != "events":  # never raises
        raise StorageUnavailable("not now")


@pytest.mark.parametrize(("state", "way"), KILLS)
async def test_whichever_call_is_not_answered_the_job_ends_once(state: str, way: Way) -> None:
    await check_every_moment(state, way, _fails)


@pytest.mark.parametrize("kind", ["chat", "video"])
async def test_wherever_who_accepts_a_job_is_killed_there_is_none_or_it_ends_once(kind: str) -> None:
    outcomes = set()
    for at in range(1_000):
        fate, stage = Fate(at), Stage.of(kind)
        with suppress(Killed):
            await stage.order(fate)
        if fate.struck is None:
            break
        made = (await stage.world.jobs.page("acme", 10, None, None)).jobs
        leases_s = await stage.leases_s()
        outcomes.add(bool(made))
        assert made or max(leases_s, default=0) < 600, fate.struck
        await stage.swept_to_the_end()
        try:
            for job in made:
                await stage.check_ended(job.id, "completed")
        except AssertionError as error:
            raise AssertionError(f"killed {fate.struck}, {at}") from error
    assert outcomes == {True, False}


IN_THE_BACKGROUND = pytest.mark.parametrize("kind", ["background", "passed on", "taken over"])


@IN_THE_BACKGROUND
async def test_wherever_one_who_waits_for_a_chat_in_the_background_is_killed_it_ends_once(kind: str) -> None:
    for at in range(1_000):
        fate, stage = Fate(at), Stage.of(kind)
        with suppress(Killed):
            answer = await stage.asked(fate)
            assert answer.status == 200, answer.body
        if fate.struck is None:
            break
        jobs = stage.world.jobs
        assert isinstance(jobs, MemoryJobs)
        await stage.swept_to_the_end()
        try:
            for _, job_id in list(jobs.held):
                await stage.check_ended(job_id, "completed", "failed")
            assert jobs.held or (stage.provider.asked, max(await stage.leases_s(), default=0) < 600) == (0, True)
        except AssertionError as error:
            raise AssertionError(f"killed {fate.struck}, {at}") from error
    assert at > 20, fate.passed


@IN_THE_BACKGROUND
async def test_whichever_call_is_not_answered_who_waits_pays_for_what_was_asked_and_only_for_that(kind: str) -> None:
    stage = Stage.of(kind)
    await stage.asked(Fate())
    silence = await stage.check_books() - COSTS["background"]
    for at in range(1_000):
        fate, stage = Fate(at, _fails), Stage.of(kind)
        answer = await stage.asked(fate)
        if fate.struck is None:
            break
        await stage.swept_to_the_end()
        try:
            cost = await stage.check_books()
            assert max(stage.provider.asked, stage.provider.silent) <= 1
            if answer.status == 200:
                assert (cost, len(stage.ends)) == (COSTS["background"] + silence * stage.provider.silent, 1)
            elif stage.provider.asked + stage.provider.silent == 0:
                assert cost == 0
        except AssertionError as error:
            raise AssertionError(f"not answered {fate.struck}, {at}: {answer.status}") from error
    assert at > 20, fate.passed


LEFT = {
    "throttled": ("chat", None),
    "not asked": ("chat", (ASK, "before credentials.find")),
    "asked": ("chat", (ASK, "before outbound.open")),
    "not settled": ("large", (SETTLE, "before jobs.get")),
    "settled by half": ("chat", (SETTLE, "before payloads.drop")),
    "video begun": ("video", (WAIT, "before jobs.get")),
    "video being stored": ("video", (WAIT, "before files.put_stream")),
}
"""What executions leave behind that were stopped, or that never began."""


@pytest.mark.parametrize("left", LEFT)
async def test_wherever_a_sweep_is_killed_the_next_one_ends_what_was_left(left: str) -> None:
    kind, after = LEFT[left]
    for at in range(1_000):
        stage = Stage.of(kind)
        stage.executions.is_throttled = after is None
        job_id = await stage.ordered()
        stage.executions.is_throttled = False
        if after is not None:
            stage.fates[after[0]], stage.dies_whole = Fate(after[1]), True
            assert await stage.carried_on(job_id) is None
        fate = Fate(at)
        for _ in range(20):
            with suppress(Killed):
                await stage.swept(None if fate.is_dead else fate)
        if fate.struck is None:
            break
        await stage.swept_to_the_end()
        try:
            await stage.check_ended(job_id, "completed", "failed")
        except AssertionError as error:
            raise AssertionError(f"killed {fate.struck}, {at}") from error
    assert at > 8, fate.passed


async def test_wherever_a_sweep_that_puts_a_reply_away_is_killed_it_is_put_away() -> None:
    for at in range(1_000):
        stage = Stage.of("chat")
        job_id = await stage.ordered()
        await stage.carried_on(job_id)
        stage.clock.unix_s += KEPT_S
        fate = Fate(at)
        with suppress(Killed):
            await stage.swept(fate)
        if fate.struck is None:
            break
        await stage.swept()
        assert (await stage.check_ended(job_id, "completed")).result is None
    assert at == 6, fate.passed
