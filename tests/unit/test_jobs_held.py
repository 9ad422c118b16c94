"""What is held for jobs: for as long as they may take, and no more of it than stands."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.model.errors import AdmissionUnavailable
from gateway.model.job import LONGEST_S, Job
from gateway.pipeline import chat
from gateway.pipeline.job_record import BELIEVED_S
from gateway.pipeline.job_work import ask
from gateway.pipeline.top_up import top_up
from tests.fakes import MemoryPayloads
from tests.unit.test_jobs import COST, Gateway, Killed, gateway

__all__ = ["gateway"]


async def test_a_job_that_comes_to_its_turn_too_late_asks_nobody(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    gateway.clock.unix_s += LONGEST_S
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["error"]["code"], gateway.provider.asked) == ("failed", "job_interrupted", 0)
    assert gateway.holds == 0


async def test_what_is_held_for_a_job_is_held_for_long_only_when_there_is_a_job(gateway: Gateway) -> None:
    """A function that dies while it accepts one keeps no slot for a day."""
    payloads, ends = gateway.world.payloads, []
    assert isinstance(payloads, MemoryPayloads)
    put = payloads.put

    async def watched(job: Job, body: bytes) -> None:
        ends.extend(gateway.leases)
        await put(job, body)

    payloads.put = watched  # type: ignore[method-assign]
    job_id = await gateway.accepted()
    now_s, expires_at_s = gateway.clock.now_s(), (await gateway.job(job_id)).expires_at_s
    assert len(ends) == 2 and max(ends) < now_s + 600
    assert len(gateway.leases) == 2 and min(gateway.leases) > expires_at_s


async def test_what_could_not_be_held_for_longer_when_it_was_accepted_is_when_it_begins(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: Any) -> Any:
        raise AdmissionUnavailable("The ledger does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(gateway.world.ledger, "enlarge", silent)
        job_id = await gateway.accepted()
    assert max(gateway.leases) < gateway.clock.now_s() + 600

    async def looks() -> None:
        assert min(gateway.leases) > (await gateway.job(job_id)).expires_at_s

    gateway.provider.meanwhile = looks
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert gateway.holds == 0


async def test_what_a_worker_that_died_made_more_of_is_settled_as_it_stands(gateway: Gateway) -> None:
    """It died between the ledger and the record."""
    job_id, ledger = await gateway.accepted(), gateway.world.ledger
    assert isinstance(ledger, MemoryLedger)
    for holds in ledger._holds.values():
        for name, hold in holds.items():
            holds[name] = msgspec.structs.replace(hold, cost_nano_usd=hold.cost_nano_usd + 7)
    for numbers in ledger._numbers.values():
        for number in numbers:
            numbers[number] += 7 * number.startswith("c")
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert gateway.holds == 0
    assert {numbers[name] for numbers in ledger._numbers.values() for name in numbers if name[0] in "cs"} == {COST}


async def test_what_a_worker_that_died_made_more_of_is_not_made_more_of_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook made the request dearer, for the one that died and for its follower."""

    async def dearer(planned: Any, *rest: Any) -> Any:
        exchange, world = rest[-2:]
        demand = replace(planned.demand, cost_nano_usd=3 * planned.demand.cost_nano_usd)
        await top_up(exchange.ticket, demand, world.clock.now_s())
        return replace(planned, demand=demand)

    async def dies(provider: str) -> Any:
        raise Killed

    monkeypatch.setattr(chat, "agreed", dearer)
    job_id, ledger = await gateway.accepted(), gateway.world.ledger
    assert isinstance(ledger, MemoryLedger)
    with monkeypatch.context() as killing:
        killing.setattr(gateway.world.credentials, "find", dies)
        with pytest.raises(Killed):
            await gateway.step(ask, job_id)
    gateway.clock.unix_s += BELIEVED_S
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (1, 0)
    assert {numbers[name] for numbers in ledger._numbers.values() for name in numbers if name[0] in "cs"} == {COST}
