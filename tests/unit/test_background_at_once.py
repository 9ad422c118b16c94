"""Chats in the background among what a tenant may have at once: requests while they are waited for, jobs after that."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.model.errors import AdmissionUnavailable
from gateway.model.http import HttpRequest
from gateway.model.ledger import Account, Hold, Reserved, becoming_job
from gateway.model.limits import Allowance, Budget, Limits
from gateway.pipeline.background import SEEN_TO_S
from gateway.pipeline.job_work import ask
from tests.unit.test_background import CHAT, COST, DONE, Gateway, gateway_of_background
from tests.unit.test_jobs import Killed
from tests.unit.test_jobs_at_once import numbers, refusal

ACCOUNTS = ("T#acme#0", "U#acme#0#alice")


@pytest.fixture
def gateway() -> Gateway:
    gateway = gateway_of_background()
    limits = (Limits(concurrent_requests=1, concurrent_jobs=1), Limits(models="openai/*", concurrent_jobs=1))
    gateway.allow(allowance=Allowance(limits=limits, budgets=(Budget(window="month", usd=Decimal(1)),)))
    return gateway


async def test_one_that_was_handed_over_takes_the_place_of_a_job(gateway: Gateway) -> None:
    job_id = await gateway.handed_over()
    assert [await numbers(gateway, account) for account in ACCOUNTS] == [{"n": 0, "j": 1}] * 2
    assert refusal(await gateway.post(**{**CHAT, "async": True}))[2:] == ("tenant", "concurrent_jobs", 1)
    gateway.remote.looks = [DONE]
    assert (await gateway.post(**CHAT)).status == 200
    await gateway.finished(job_id)
    assert [await numbers(gateway, account) for account in ACCOUNTS] == [{"n": 0, "j": 0}] * 2
    assert gateway.holds == 0


async def test_while_it_is_waited_for_it_takes_that_of_a_request(gateway: Gateway) -> None:
    async def meanwhile(_: HttpRequest) -> None:
        gateway.remote.before = None
        assert await numbers(gateway) == {"n": 1, "j": 0}

    gateway.remote.before = meanwhile
    assert (await gateway.post(**CHAT)).status == 200
    assert await numbers(gateway) == {"n": 0, "j": 0}


async def test_one_whose_request_died_takes_the_place_of_a_job_once_it_is_seen_to(gateway: Gateway) -> None:
    async def dies(request: HttpRequest) -> None:
        if request.method == "GET":
            gateway.remote.before = None
            raise Killed

    gateway.remote.before = dies
    with pytest.raises(Killed):
        await gateway.post(**CHAT)
    gateway.clock.unix_s += SEEN_TO_S
    await gateway.step(ask, gateway.only.id)
    assert await numbers(gateway) == {"n": 0, "j": 1}
    gateway.remote.looks = [DONE]
    await gateway.finished(gateway.only.id)
    assert await numbers(gateway) == {"n": 0, "j": 0}
    assert gateway.is_settled(COST)


async def test_one_that_cannot_be_counted_anew_is_handed_over_all_the_same(gateway: Gateway) -> None:
    enlarge = gateway.world.ledger.enlarge

    async def unanswered(account: Account, name: str, hold: Hold, larger: Hold) -> Reserved:
        reserved = await enlarge(account, name, hold, larger)
        if larger.is_job:
            raise AdmissionUnavailable("Limits cannot be checked at the moment.")
        return reserved

    gateway.world.ledger.enlarge = unanswered  # type: ignore[method-assign]
    job_id = await gateway.handed_over()
    assert gateway.troubles == ["job.not_counted"]
    gateway.remote.looks = [DONE]
    assert (await gateway.finished(job_id))["status"] == "completed"
    assert [await numbers(gateway, account) for account in ACCOUNTS] == [{"n": 0, "j": 0}] * 2
    assert gateway.is_settled(COST)


def test_a_hold_that_counts_no_more_counts_among_no_jobs_either() -> None:
    hold = Hold(until_s=2, admitted_s=1, cost_nano_usd=5, rules=("", "/ab12cd34"), request={"model": "openai/deep"})
    meters, of_job = becoming_job(hold)
    added = {meter.name: meter.amount for meter in meters}
    assert added == {"n": -1, "n/ab12cd34": -1, "j": 1, "j/ab12cd34": 1}
    assert (of_job.is_job, of_job.runs, of_job.request) == (True, True, None)
    assert becoming_job(Hold(until_s=2, admitted_s=1, cost_nano_usd=5, rules=("",), runs=False))[0] == ()
