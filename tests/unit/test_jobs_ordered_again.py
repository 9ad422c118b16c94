"""Orders with an Idempotency-Key: the job that the first one made."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec

from gateway.model.job import KEPT_S, Job
from gateway.model.limits import Allowance, Budget, Limits
from tests.fakes import MemoryPayloads, key_hash
from tests.unit.conftest import KEY
from tests.unit.test_jobs import ASYNC, Gateway, gateway

__all__ = ["gateway"]


async def test_an_order_with_the_same_idempotency_key_is_the_same_job(gateway: Gateway) -> None:
    keyed = {"idempotency-key": "k-1"}
    first = (await gateway.post(headers=keyed, **ASYNC)).json
    again = await gateway.post(headers=keyed, **ASYNC)
    assert (again.status, again.json["id"]) == (202, first["id"])
    assert gateway.holds == 2
    other = await gateway.post(headers=keyed, **ASYNC | {"max_tokens": 5})
    assert (other.status, other.json["error"]["code"]) == (409, "idempotency_conflict")
    assert (await gateway.worked(first["id"]))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (1, 0)
    assert (await gateway.post(headers=keyed, **ASYNC)).json["status"] == "completed"
    assert (await gateway.post(headers={"idempotency-key": "k" * 256}, **ASYNC)).status == 400


async def test_an_order_that_comes_again_takes_nothing_and_needs_no_room(gateway: Gateway) -> None:
    keyed = {"idempotency-key": "k-1"}
    first = (await gateway.post(headers=keyed, **ASYNC)).json
    held = gateway.access.held[key_hash(KEY)]
    full = Allowance(limits=(Limits(concurrent_requests=1),), budgets=(Budget(window="month", usd=Decimal("0.00001")),))
    tenant = msgspec.structs.replace(held.tenant, allowance=full)
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, tenant=tenant)
    assert (await gateway.post(headers={"idempotency-key": "k-2"}, **ASYNC)).status in (402, 429)
    again = await gateway.post(headers=keyed, **ASYNC)
    assert (again.status, again.json["id"]) == (202, first["id"])
    assert (gateway.holds, gateway.costs.get(again.headers["x-request-id"])) == (2, None)
    stranger = await gateway.post(headers={**keyed, "authorization": "Bearer gwk_wrong"}, **ASYNC)
    assert stranger.status == 401


async def test_an_order_that_comes_again_when_its_job_is_gone_is_told_so(gateway: Gateway) -> None:
    keyed = {"idempotency-key": "k-1"}
    first = (await gateway.post(headers=keyed, **ASYNC)).json
    await gateway.worked(first["id"])
    job = await gateway.job(first["id"])
    await gateway.world.jobs.change(job.changed(expires_at_s=int(gateway.clock.now_s())))
    gone = await gateway.post(headers=keyed, **ASYNC)
    assert (gone.status, gone.json["error"]["code"], gone.json["error"]["param"]) == (
        410,
        "job_expired",
        "Idempotency-Key",
    )
    job = await gateway.job(first["id"])
    await gateway.world.jobs.change(job.changed(facts={**job.facts, "deleted": True}))
    assert (await gateway.post(headers=keyed, **ASYNC)).status == 404
    assert (gateway.provider.asked, gateway.holds) == (1, 0)
    gateway.clock.unix_s += KEPT_S
    assert (await gateway.post(headers=keyed, **ASYNC)).status == 202  # a key is remembered for a day


async def test_two_orders_at_once_with_one_idempotency_key_are_one_job(gateway: Gateway) -> None:
    payloads, keyed = gateway.world.payloads, {"idempotency-key": "k-1"}
    assert isinstance(payloads, MemoryPayloads)
    put = payloads.put

    async def slow(job: Job, body: bytes) -> None:
        await asyncio.sleep(0)
        await put(job, body)

    payloads.put = slow  # type: ignore[method-assign]
    orders = [gateway.post(headers=keyed, **ASYNC) for _ in range(2)]
    first, second = [answer.json["id"] for answer in await asyncio.gather(*orders)]
    assert (first, gateway.holds) == (second, 2)
    assert (await gateway.worked(first))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (1, 0)


async def test_an_idempotency_key_whose_first_order_died_makes_the_job(gateway: Gateway) -> None:
    assert isinstance(gateway.world.payloads, MemoryPayloads)
    keyed = {"idempotency-key": "k-1"}
    gateway.world.payloads.is_broken = True
    assert (await gateway.post(headers=keyed, **ASYNC)).status == 503
    gateway.world.payloads.is_broken = False
    job = (await gateway.post(headers=keyed, **ASYNC)).json
    assert (await gateway.worked(job["id"]))["status"] == "completed"
