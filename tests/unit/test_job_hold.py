"""What is held for a job that waits for its turn, whatever came in between; in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.entry.chat import chat_app
from gateway.model.errors import AdmissionUnavailable
from gateway.model.job import LONGEST_S
from gateway.pipeline.job_accept import START_AGAIN_S
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_sweep import LATER_S, SweptJobs, sweep_jobs
from gateway.pipeline.job_work import ask
from gateway.pipeline.sweep import Swept
from tests.asgi import call
from tests.sweeping import HELLO, KEY, Stage


class Waiting:
    """A job that was accepted while the ledger did not answer, so that its hold is that of any request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage = Stage()
        self.clock = self.stage.clock
        self._monkeypatch = monkeypatch
        self.id = ""

    async def accepted(self) -> None:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        with self._monkeypatch.context() as broken:
            broken.setattr(self.stage.ledger, "enlarge", silent)
            order = await call(chat_app(self.stage.world), json.dumps({**HELLO, "async": True}).encode(), headers)
        assert order.status == 202
        self.id = order.json["id"]

    async def left_s(self) -> list[float]:
        """Of each hold until its lease ends."""
        books = await self.stage.books()
        return [hold.until_s - self.clock.now_s() for reading in books.values() for hold in reading.holds.values()]

    async def jobs_swept(self) -> SweptJobs:
        return await sweep_jobs(self.stage.world, at_most=10, until_s=self.clock.now_s() + 60)

    async def holds_swept(self) -> Swept:
        swept = await self.stage.judgement_day()
        await self.stage.deliver()
        return swept

    async def worked(self) -> Any:
        jobs = self.stage.world.jobs
        for step in (ask, settle):
            await step(await jobs.get("acme", self.id), self.stage.world)
        await self.stage.deliver()
        return await jobs.get("acme", self.id)


async def silent(*_: Any) -> Any:
    raise AdmissionUnavailable("The ledger does not answer.")


@pytest.fixture
async def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    made = Waiting(monkeypatch)
    await made.accepted()
    assert max(await made.left_s()) < 600
    return made


async def test_what_could_not_be_held_for_long_when_it_was_accepted_is_while_it_waits(waiting: Waiting) -> None:
    waiting.clock.unix_s += START_AGAIN_S
    assert (await waiting.jobs_swept()).running == 1
    assert min(await waiting.left_s()) > LONGEST_S - START_AGAIN_S


async def test_what_is_held_for_long_is_not_looked_at_again(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting.clock.unix_s += START_AGAIN_S
    await waiting.jobs_swept()
    monkeypatch.setattr(waiting.stage.ledger, "read", silent)
    waiting.clock.unix_s += LATER_S
    assert (await waiting.jobs_swept()).running == 1


async def test_what_cannot_be_held_for_long_now_is_at_a_later_sweep(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting.clock.unix_s += START_AGAIN_S
    with monkeypatch.context() as broken:
        broken.setattr(waiting.stage.ledger, "enlarge", silent)
        assert (await waiting.jobs_swept()).failed == 1
    waiting.clock.unix_s += 60
    assert (await waiting.jobs_swept()).running == 1
    assert min(await waiting.left_s()) > LONGEST_S - 3 * START_AGAIN_S


async def test_a_job_for_which_nobody_was_asked_is_charged_nothing_when_its_hold_has_ended(waiting: Waiting) -> None:
    """No sweep over jobs came in time."""
    waiting.clock.unix_s += 1_800
    swept = await waiting.holds_swept()
    assert (swept.lost, swept.settled) == (0, 0)
    assert await waiting.left_s() == []
    job = await waiting.worked()
    assert (job.status, job.cost_nano_usd, waiting.stage.outbound.sent) == ("failed", 0, [])
    assert (await waiting.stage.used()).get("cost_nano_usd", 0) == 0
    assert list(waiting.stage.ends().values()) == [["request.failed"]]


async def test_a_hold_that_was_held_for_long_is_released_for_the_jobs_record_accounts_for_it(waiting: Waiting) -> None:
    waiting.clock.unix_s += START_AGAIN_S
    await waiting.jobs_swept()
    waiting.clock.unix_s += 2 * LONGEST_S
    swept = await waiting.holds_swept()
    assert (swept.released, swept.lost) == (1, 0)
