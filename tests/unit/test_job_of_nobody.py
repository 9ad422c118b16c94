"""Jobs whose tenant was deleted meanwhile: they end, ask nobody any more, and leave nothing held."""

from __future__ import annotations

import pytest

from tests.dying import Fate, Moment
from tests.job_stage import COSTS, Stage
from tests.unit.test_job_kills import ASK, SETTLE, WAIT


async def _left(kind: str, state: str | None, moment: str) -> tuple[Stage, str]:
    """A job that came to that moment of that state, where its worker and its execution ended; its tenant is gone."""
    stage = Stage.of(kind)
    job_id = await stage.ordered()
    if state is not None:
        stage.fates[state], stage.dies_whole = Fate(moment), True
        assert await stage.carried_on(job_id) is None
    stage.access.held.clear()
    return stage, job_id


@pytest.mark.parametrize(
    ("kind", "state", "moment", "status", "cost"),
    [
        ("chat", ASK, "before credentials.find", "failed", 0),
        ("chat", SETTLE, "before jobs.get", "completed", COSTS["chat"]),
        ("chat", SETTLE, "after events.send", "completed", COSTS["chat"]),
        ("video", WAIT, "before jobs.get", "failed", COSTS["video"]),
    ],
)
async def test_what_an_execution_left_is_ended_by_the_sweep(
    kind: str, state: str, moment: str, status: str, cost: int
) -> None:
    stage, job_id = await _left(kind, state, moment)
    await stage.swept_to_the_end()
    await stage.check_ended(job_id, status)
    assert sum(stage.costs.values()) == cost


@pytest.mark.parametrize("kind", ["chat", "video"])
async def test_one_that_has_not_begun_asks_nobody(kind: str) -> None:
    stage, job_id = await _left(kind, None, "")
    assert await stage.carried_on(job_id) == "Failed"
    job = await stage.check_ended(job_id, "failed")
    assert (stage.provider.asked, (job.error or {})["code"]) == (0, "tenant_disabled")


async def test_a_video_that_is_made_is_waited_for_and_paid() -> None:
    stage = Stage.of("video")
    job_id = await stage.ordered()

    async def deleted(_: Moment) -> None:
        stage.access.held.clear()

    stage.fates[WAIT] = Fate("before jobs.get", deleted)
    assert await stage.carried_on(job_id) == "Completed"
    await stage.check_ended(job_id, "completed")
    assert sum(stage.costs.values()) == COSTS["video"]
