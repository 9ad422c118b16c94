"""The end of a chat of the background that was answered in time is known here alone, so it is not given up at once."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.errors import StorageUnavailable
from gateway.model.job import Job
from tests.unit.test_background import CHAT, COST, DONE, Gateway, gateway

__all__ = ["gateway"]

REFUSED = (400, {"error": {"message": "no", "code": "bad"}})


@pytest.mark.parametrize("silences", [1, 5])
@pytest.mark.parametrize(("begins", "status", "cost"), [(None, 200, COST), (REFUSED, 400, 0)])
async def test_an_end_that_cannot_be_recorded_for_a_moment_costs_what_was_answered(
    gateway: Gateway, begins: Any, status: int, cost: int, silences: int
) -> None:
    gateway.remote.looks = [DONE]
    gateway.remote.begins = begins or gateway.remote.begins
    change, left = gateway.world.jobs.change, [*range(silences)]

    async def silent(job: Job, due_at_s: int | None = None) -> bool:
        if job.has_ended and left:
            left.pop()
            raise StorageUnavailable("Jobs cannot be stored at the moment.")
        return await change(job, due_at_s)

    gateway.world.jobs.change = silent  # type: ignore[method-assign]
    assert (await gateway.post(**CHAT)).status == status
    assert (gateway.troubles, gateway.holds, gateway.only.result) == ([], 0, None)
    assert (gateway.only.has_ended, gateway.only.cost_nano_usd, gateway.remote.asked("POST")) == (True, cost, 1)
