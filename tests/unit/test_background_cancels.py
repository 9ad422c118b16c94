"""Chats in the background that never end, or that nobody wants any more."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.http import HttpRequest
from gateway.model.job import LONGEST_S
from gateway.pipeline.background import EVERY_S
from gateway.pipeline.job_end import FINISHING_S, settle
from gateway.pipeline.job_record import JobBusy
from gateway.pipeline.job_work import JobPending, look
from tests.unit.test_background import COST, DIED, DONE, USAGE, Gateway, gateway, response
from tests.unit.test_jobs import Killed

__all__ = ["gateway"]


async def test_one_that_never_ends_fails_after_its_day_and_is_stopped(gateway: Gateway) -> None:
    job_id = await gateway.handed_over()
    gateway.clock.unix_s += LONGEST_S
    shown = await gateway.finished(job_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "provider_timeout")
    assert gateway.remote.asked("cancel") == 1
    assert gateway.is_settled(*(cost for cost in gateway.costs.values() if cost))


@pytest.mark.parametrize(
    ("stopped", "cost"),
    [(response("cancelled", usage=USAGE), COST), (DONE, COST), (response("cancelled"), None), (DIED, None)],
)
async def test_one_that_is_cancelled_is_stopped_and_paid(gateway: Gateway, stopped: Any, cost: int | None) -> None:
    """At what its provider says that it did, or at what was held where it does not say."""
    gateway.remote.stopped = stopped
    job_id = await gateway.handed_over()
    shown = (await gateway.send("DELETE", f"/v1/jobs/{job_id}")).json
    assert (shown["status"], shown["error"]["code"], shown["result"]) == ("cancelled", "job_cancelled", None)
    assert gateway.remote.asked("cancel") == 1
    (paid,) = gateway.costs.values()
    assert paid == cost if cost is not None else (paid or 0) > COST
    assert gateway.is_settled(paid or 0)
    assert (await gateway.send("DELETE", f"/v1/jobs/{job_id}")).json["status"] == "cancelled"
    assert (await look(await gateway.job(job_id), gateway.world, EVERY_S)).status == "cancelled"


async def test_what_a_cancelled_one_cost_is_told_by_who_cancels_it_and_by_nobody_else(gateway: Gateway) -> None:
    """Its execution may come to settle it while its provider is being told."""
    job_id = await gateway.handed_over()

    async def settled_too(_: HttpRequest) -> None:
        with pytest.raises(JobBusy):
            await gateway.step(settle, job_id)

    gateway.remote.before = settled_too
    await gateway.send("DELETE", f"/v1/jobs/{job_id}")
    assert gateway.is_settled(COST)


async def test_one_whose_canceller_died_costs_what_was_held(gateway: Gateway) -> None:
    async def dies(_: HttpRequest) -> None:
        raise Killed

    job_id = await gateway.handed_over()
    gateway.remote.before = dies
    with pytest.raises(Killed):
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
    gateway.clock.unix_s += FINISHING_S
    ended = await gateway.step(settle, job_id)
    (paid,) = gateway.costs.values()
    assert (ended.status, (paid or 0) > COST) == ("cancelled", True)
    assert gateway.is_settled(paid or 0)


async def test_one_that_is_cancelled_while_it_is_looked_at_stays_so(gateway: Gateway) -> None:
    job_id = await gateway.handed_over()
    gateway.remote.looks = [DONE]

    async def cancelled(request: HttpRequest) -> None:
        gateway.remote.before = None
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")

    gateway.remote.before = cancelled
    with pytest.raises(JobPending):  # what was kept of the request is gone
        await gateway.looked(job_id)
    shown = await gateway.finished(job_id)
    assert (shown["status"], shown["result"]) == ("cancelled", None)
    assert gateway.is_settled(COST)
