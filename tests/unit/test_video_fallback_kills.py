"""Who begins a video dies at any moment, or is not answered: nobody is asked twice, and who was asked is paid."""

from __future__ import annotations

from contextlib import suppress

import pytest

from gateway.model.errors import AdmissionUnavailable, StorageUnavailable
from tests.dying import Fate, Killed, Meets, Moment
from tests.fakes import MemoryJobs
from tests.job_stage import COSTS, Stage

EACH = COSTS["video"]


async def _fails(moment: Moment) -> None:
    port = moment.call.partition(".")[0]
    if port in ("access", "ledger"):
        raise AdmissionUnavailable("not now")
    if port in ("jobs", "executions"):
        raise StorageUnavailable("not now")


async def committed(stage: Stage) -> int:
    numbers = (await stage.world.ledger.read("T#acme#0")).numbers
    return next((value for name, value in numbers.items() if name[0] == "c" and len(name) == 8), 0)


@pytest.mark.parametrize("kind", ["video", "falling"])
@pytest.mark.parametrize("meets", [None, _fails], ids=["killed", "not answered"])
async def test_whatever_meets_who_begins_a_video_all_that_may_be_made_is_in_the_budget(kind: str, meets: Meets) -> None:
    for at in range(1_000):
        fate, stage = Fate(at, meets), Stage.of(kind)
        with suppress(Killed):
            await stage.asked(fate)
        if fate.struck is None:
            break
        asked = (stage.provider.silent, stage.provider.asked)
        try:
            assert max(asked) <= 1
            assert await committed(stage) >= EACH * sum(asked)
            await stage.swept_to_the_end()
            assert (stage.provider.silent, stage.provider.asked) == asked
            assert await committed(stage) >= EACH * sum(asked)
            jobs = stage.world.jobs
            assert isinstance(jobs, MemoryJobs)
            for _, job_id in list(jobs.held):
                assert (await stage.job(job_id)).has_ended
        except AssertionError as error:
            raise AssertionError(f"{fate.struck}, {at}: {asked}") from error
    assert at >= (20 if kind == "video" else 29), fate.passed
