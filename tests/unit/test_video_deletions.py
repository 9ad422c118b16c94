"""Videos that are deleted: finished, running, while they are begun, stored or waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec.structs import replace

from gateway.model.http import HttpRequest
from gateway.model.webhook import Webhook
from tests.fakes import FixedDownloads
from tests.unit.videos_gateway import DONE, Gateway, gateway, said

__all__ = ["gateway"]


async def test_a_finished_video_is_deleted_with_its_file(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    await gateway.finished(video_id)
    deleted = await gateway.get(f"/{video_id}", method="DELETE")
    assert deleted.json == {"id": video_id, "object": "video.deleted", "deleted": True}
    assert gateway.files.whole == {}
    for method in ("GET", "DELETE"):
        assert (await gateway.get(f"/{video_id}", method=method)).status == 404
    assert len(gateway.usage) == 1


async def test_a_running_video_that_is_deleted_is_stopped_and_paid(gateway: Gateway) -> None:
    gateway.provider.begins = said(200, id="t-1")
    gateway.provider.looks = [said(200, id="t-1", status="RUNNING", progress=0.5)]
    video_id = await gateway.begun(model="runway/clip")
    assert (await gateway.get(f"/{video_id}")).json["progress"] == 50
    assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
    assert (gateway.provider.sent[-1].method, gateway.provider.sent[-1].url[-9:]) == ("DELETE", "tasks/t-1")
    assert (await gateway.get(f"/{video_id}")).status == 404
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("job_cancelled", 280_000_000)]
    assert gateway.audit == ["request.started", "request.failed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_what_is_deleted_while_it_is_stored_stays_deleted(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]

    class Slow(FixedDownloads):
        async def _pieces(self, pieces: list[bytes | Exception]) -> AsyncIterator[bytes]:
            await gateway.get(f"/{video_id}", method="DELETE")
            async for piece in super()._pieces(pieces):
                yield piece

    gateway.world = replace(gateway.world, downloads=Slow(gateway.downloads.there))
    assert (await gateway.get(f"/{video_id}")).status == 404
    assert gateway.files.whole == {}
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("job_cancelled", 280_000_000)]


async def test_who_asks_while_it_is_begun_takes_nothing_from_who_begins_it(gateway: Gateway) -> None:
    async def look(request: HttpRequest) -> None:
        if request.method == "POST":
            (listed,) = (await gateway.get("")).json["data"]
            assert (await gateway.get(f"/{listed['id']}")).json["status"] == "queued"

    gateway.provider.before = look
    video_id = await gateway.begun()
    assert gateway.provider.looked == 0
    assert (await gateway.finished(video_id))["status"] == "completed"
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("ok", 280_000_000)]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_what_somebody_else_wrote_while_it_was_begun_stays(gateway: Gateway) -> None:
    async def write(request: HttpRequest) -> None:
        if request.method == "POST":
            ((job, _),) = gateway.jobs.held.values()
            await gateway.jobs.change(job.changed(webhook=Webhook(url="https://a.example")))

    gateway.provider.before = write
    video_id = await gateway.begun()
    job = await gateway.jobs.get("acme", video_id)
    assert job.remote is not None
    assert (job.webhook, job.remote.id, job.held is None) == (Webhook(url="https://a.example"), "r-1", False)


async def test_a_video_that_is_deleted_while_it_is_begun_is_stopped_and_paid_once(gateway: Gateway) -> None:
    gateway.provider.begins = said(200, id="t-1")

    async def delete(request: HttpRequest) -> None:
        if request.method == "POST":
            (listed,) = (await gateway.get("")).json["data"]
            assert (await gateway.get(f"/{listed['id']}", method="DELETE")).status == 200
            assert gateway.usage == []

    gateway.provider.before = delete
    answer = await gateway.create(model="runway/clip")
    assert (answer.status, answer.json["error"]["code"]) == (409, "job_cancelled")
    assert (gateway.provider.sent[-1].method, gateway.provider.sent[-1].url[-9:]) == ("DELETE", "tasks/t-1")
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("job_cancelled", 280_000_000)]
    assert gateway.audit == ["request.started", "request.failed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
    assert (await gateway.get("")).json["data"] == []


async def test_what_is_deleted_while_it_is_begun_and_refused_costs_nothing(gateway: Gateway) -> None:
    gateway.provider.begins = said(400, code="invalid-argument", error="no such pose")

    async def delete(_: HttpRequest) -> None:
        (listed,) = (await gateway.get("")).json["data"]
        await gateway.get(f"/{listed['id']}", method="DELETE")

    gateway.provider.before = delete
    assert (await gateway.create()).status == 400
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("validation_error", 0)]
    assert await gateway.held() == (0, 0, 0)
    assert (await gateway.get("")).json["data"] == []


async def test_who_waits_for_a_video_that_is_deleted_is_told(gateway: Gateway) -> None:
    async def delete(request: HttpRequest) -> None:
        if request.method == "GET":
            (listed,) = (await gateway.get("")).json["data"]
            await gateway.get(f"/{listed['id']}", method="DELETE")

    gateway.provider.before = delete
    answer = await gateway.create(**{"async": False})
    assert (answer.status, answer.json["error"]["code"]) == (409, "job_cancelled")
