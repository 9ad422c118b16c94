"""Videos whose function dies, or whose record cannot be written: told and paid once, and by whoever comes next."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.model.errors import StorageUnavailable
from tests.fakes import MemoryJobs
from tests.unit.videos_gateway import DONE, Dying, Gateway, gateway, said

__all__ = ["gateway"]


async def test_a_record_that_never_holds_still_is_no_video(gateway: Gateway) -> None:
    class Restless(MemoryJobs):
        async def change(self, job: Any, due_at_s: int | None = None) -> bool:
            return False

    gateway.world = replace(gateway.world, jobs=Restless())
    answer = await gateway.create()
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_an_end_that_was_not_told_is_finished_later(gateway: Gateway) -> None:
    """The function died after it had recorded the end."""
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]
    events, gateway.world = gateway.world.events, replace(gateway.world, events=Dying())
    assert (await gateway.get(f"/{video_id}")).status == 500
    gateway.world = replace(gateway.world, events=events)
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert gateway.usage == []
    gateway.clock.unix_s += 60
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("ok", 280_000_000)]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_an_end_that_was_not_told_is_told_before_it_is_deleted(gateway: Gateway) -> None:
    """The function died after it had recorded the end, and the client deletes the video at once."""
    video_id = await gateway.begun()
    gateway.provider.looks = [said(200, status="failed", error={"code": "x", "message": "no"})]
    events, gateway.world = gateway.world.events, replace(gateway.world, events=Dying())
    assert (await gateway.get(f"/{video_id}")).status == 500
    gateway.world = replace(gateway.world, events=events)
    assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("error", 0)]
    assert await gateway.held() == (0, 0, 0)
    assert (await gateway.get(f"/{video_id}")).status == 404


async def test_a_video_whose_request_nobody_saw_arrive_ends_after_a_while(gateway: Gateway) -> None:
    """The function died while it asked for it."""
    gateway.provider.begins = RuntimeError("dies")
    await gateway.create()
    ((key, (job, due)),) = gateway.jobs.held.items()
    assert job.remote is not None
    gateway.jobs.held[key] = (msgspec.structs.replace(job, error=None), due)
    assert (await gateway.get(f"/{job.id}")).json["status"] == "queued"
    gateway.clock.unix_s += 900
    assert (await gateway.get(f"/{job.id}")).json["error"]["code"] == "provider_timeout"


async def test_a_record_that_cannot_be_written_begins_nothing(gateway: Gateway) -> None:
    class NoJobs(MemoryJobs):
        async def create(self, job: Any, due_at_s: int) -> None:
            raise StorageUnavailable("Jobs cannot be stored.")

    gateway.world = replace(gateway.world, jobs=NoJobs())
    assert (await gateway.create()).status == 503
    assert (gateway.provider.sent, await gateway.held()) == ([], (0, 0, 0))


async def test_a_record_whose_writing_was_not_answered_is_one(gateway: Gateway) -> None:
    class Unanswering(MemoryJobs):
        async def create(self, job: Any, due_at_s: int) -> None:
            await super().create(job, due_at_s)
            raise StorageUnavailable("Jobs cannot be stored.")

    gateway.world = replace(gateway.world, jobs=Unanswering())
    video_id = await gateway.begun()
    assert [video["id"] for video in (await gateway.get()).json["data"]] == [video_id]
    assert len(gateway.provider.sent) == 1 + gateway.provider.looked


async def test_a_video_that_is_begun_and_cannot_be_recorded_is_paid(gateway: Gateway) -> None:
    class HalfJobs(MemoryJobs):
        async def change(self, job: Any, due_at_s: int | None = None) -> bool:
            raise StorageUnavailable("Jobs cannot be stored.")

    gateway.world = replace(gateway.world, jobs=HalfJobs())
    answer = await gateway.create()
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (503, "storage_unavailable")
    assert (answer.headers["x-should-retry"], error["usage"]["cost_estimate"]) == ("false", 0.28)
    assert [record.cost_nano_usd for record in gateway.usage] == [280_000_000]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
