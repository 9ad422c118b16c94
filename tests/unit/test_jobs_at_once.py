"""How many jobs a tenant may have that have not ended: a limit of its own, beside that of requests at once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.model.ledger import Hold, leaving, settling
from gateway.model.limits import Allowance, Limits
from gateway.model.tenant import JOBS_OF_A_SHARD
from tests.asgi import Answer
from tests.fakes import key_hash, principal
from tests.unit.conftest import KEY, TENANT
from tests.unit.test_jobs import ASYNC, CHAT, Gateway, Killed, gateway_of_jobs


@pytest.fixture
def gateway() -> Gateway:
    return gateway_of_jobs()


def allow(gateway: Gateway, *limits: Limits, **tenant: Any) -> None:
    allowed = msgspec.structs.replace(TENANT, approvals=("*",), allowance=Allowance(limits=limits), **tenant)
    gateway.access.held[key_hash(KEY)] = principal(allowed)


async def numbers(gateway: Gateway, account_id: str = "T#acme#0") -> dict[str, int]:
    read = await gateway.world.ledger.read(account_id)
    return {name: read.numbers.get(name, 0) for name in "nj"}


def refusal(answer: Answer) -> tuple[int, str, str, str, int]:
    error = answer.json["error"]
    return answer.status, error["code"], error["level"], error["limit_kind"], error["limit"]


async def test_a_job_too_many_is_refused_and_requests_are_not(gateway: Gateway) -> None:
    allow(gateway, Limits(concurrent_jobs=2, concurrent_requests=1))
    for _ in range(2):
        await gateway.accepted()
    refused = await gateway.post(**ASYNC)
    assert refusal(refused) == (429, "rate_limited", "tenant", "concurrent_jobs", 2)
    assert (refused.headers["retry-after"], gateway.holds) == ("10", 4)
    assert "x-should-retry" not in refused.headers
    assert (await gateway.post(**CHAT)).status == 200
    assert await numbers(gateway) == {"n": 0, "j": 2}


async def test_requests_take_no_place_of_a_job(gateway: Gateway) -> None:
    allow(gateway, Limits(concurrent_jobs=1, concurrent_requests=1))
    answers: list[Answer] = []

    async def meanwhile() -> None:
        gateway.provider.meanwhile = None
        answers.extend([await gateway.post(**ASYNC), await gateway.post(**CHAT)])

    gateway.provider.meanwhile = meanwhile
    assert (await gateway.post(**CHAT)).status == 200
    assert [answer.status for answer in answers] == [202, 429]


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "dead"])
async def test_its_place_is_free_when_it_has_ended_however(gateway: Gateway, end: str) -> None:
    allow(gateway, Limits(concurrent_jobs=1, models="*"), Limits(concurrent_jobs=1, models="openai/*"))
    job_id = await gateway.accepted()
    if end == "cancelled":
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
    elif end == "dead":

        async def killed() -> None:
            raise Killed

        gateway.provider.meanwhile = killed
        with pytest.raises(Killed):
            await gateway.worked(job_id)
        gateway.provider.meanwhile = None
        gateway.clock.unix_s += 60
    gateway.provider.status = 500 if end == "failed" else 200
    assert (await gateway.worked(job_id))["status"] == ("failed" if end == "dead" else end)
    for account_id in ("T#acme#0", "U#acme#0#alice"):
        assert await numbers(gateway, account_id) == {"n": 0, "j": 0}
    await gateway.accepted()


async def test_a_user_has_a_limit_of_his_own(gateway: Gateway) -> None:
    allow(gateway, user_allowance=Allowance(limits=(Limits(concurrent_jobs=1),)))
    await gateway.accepted()
    assert refusal(await gateway.post(**ASYNC))[2:] == ("user", "concurrent_jobs", 1)


async def test_of_many_orders_at_once_so_many_are_accepted(gateway: Gateway) -> None:
    allow(gateway, Limits(concurrent_jobs=50))
    answers = await asyncio.gather(*(gateway.post(**ASYNC) for _ in range(300)))
    assert sorted(answer.status for answer in answers) == [202] * 50 + [429] * 250
    assert await numbers(gateway) == {"n": 0, "j": 50}


async def test_an_order_that_comes_again_needs_no_place(gateway: Gateway) -> None:
    allow(gateway, Limits(concurrent_jobs=1))
    keyed = {"idempotency-key": "k-1"}
    first = await gateway.post(headers=keyed, **ASYNC)
    assert (await gateway.post(headers=keyed, **ASYNC)).json["id"] == first.json["id"]


def test_a_job_that_outlived_its_lease_is_taken_out_of_jobs() -> None:
    hold = Hold(until_s=2, admitted_s=1, cost_nano_usd=5, rules=("", "/ab12cd34"), is_job=True)
    meters, left = leaving(hold)
    assert [(meter.name, meter.kind, meter.amount) for meter in meters] == [
        ("j", "jobs", -1),
        ("j/ab12cd34", "jobs", -1),
    ]
    assert (left.runs, left.is_job) == (False, True)
    assert not any(name.startswith(("n", "j")) for name in settling(left, 5))


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_tenant_that_says_nothing_has_a_limit_too(gateway: Gateway, shards: int) -> None:
    allow(gateway, Limits(models="anthropic/*", concurrent_jobs=1), shards=shards)
    for shard in range(shards):
        await gateway.world.ledger.add(f"T#acme#{shard}", {"j": JOBS_OF_A_SHARD})
    assert refusal(await gateway.post(**ASYNC))[2:] == ("tenant", "concurrent_jobs", JOBS_OF_A_SHARD * shards)
    allow(gateway, Limits(concurrent_jobs=10**6), shards=shards)
    await gateway.accepted()
