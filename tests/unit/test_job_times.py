"""What is told of the time that a job took: waited for its worker, worked at, overhead."""

from __future__ import annotations

import pytest

from gateway.model.record import UsageRecord
from gateway.pipeline.job_work import ask
from tests.fakes import ListEvents, ListRecords
from tests.unit.test_jobs import Gateway, Killed, gateway

__all__ = ["gateway"]


@pytest.mark.parametrize("queued_s", [3_600.0, 0.25])
async def test_what_a_job_waited_for_its_worker_is_no_overhead(gateway: Gateway, queued_s: float) -> None:
    """Overhead is what the gateway itself takes of a request, and the alarm that looks at it is for all of them."""
    gateway.clock.unix_s += 0.9
    job_id = await gateway.accepted()
    gateway.clock.unix_s += queued_s
    gateway.clock.running_s += queued_s

    async def works() -> None:
        gateway.clock.running_s += 2

    gateway.provider.meanwhile = works
    report = (await gateway.worked(job_id))["result"]["body"]["gateway"]
    assert (report["latency_ms"], report["overhead_ms"]) == (2_000, 0)
    assert isinstance(gateway.world.records, ListRecords)
    line = next(line for line in gateway.world.records.written if line.operation == "chat")
    assert (line.latency_ms, line.overhead_ms) == (2_000, 0)
    assert isinstance(gateway.world.events, ListEvents)
    (record,) = (told for told in gateway.world.events.told if isinstance(told, UsageRecord))
    ended = next(event for event in gateway.events if event.event == "request.completed")
    waited = [round(ms or -1) for ms in (line.queue_ms, record.queue_ms, ended.facts["queue_ms"])]
    assert (record.overhead_ms, waited) == (0, [1_000 * queued_s] * 3)


async def test_a_lost_worker_is_no_overhead(gateway: Gateway) -> None:
    job_id = await gateway.accepted()

    async def dies() -> None:
        raise Killed

    gateway.provider.meanwhile = dies
    gateway.clock.unix_s += 10
    with pytest.raises(Killed):
        await gateway.step(ask, job_id)
    gateway.clock.unix_s += 600
    await gateway.worked(job_id)
    assert isinstance(gateway.world.records, ListRecords)
    line = next(line for line in gateway.world.records.written if line.operation == "chat")
    assert (line.overhead_ms, line.queue_ms) == (0, 10_000)
