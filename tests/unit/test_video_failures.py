"""Videos that fail, that cannot be looked at, read or stored, and what each of that costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.errors import StorageUnavailable
from gateway.model.file import File
from gateway.model.http import HttpRequest
from gateway.model.job import LONGEST_S
from gateway.model.provider_errors import ProviderError
from tests.fakes import ListRecords, MemoryFiles
from tests.unit.videos_gateway import DONE, KEY_REFUSED, MP4, URL, Dying, Gateway, Whole, gateway, said

__all__ = ["gateway"]


@pytest.mark.parametrize(
    ("answer", "code", "part"),
    [
        (said(200, status="failed", error={"code": "internal", "message": "out of luck"}), "provider_error", "luck"),
        (said(200, status="failed", error="sorry", usage={"cost_in_usd_ticks": 0}), "provider_error", "sorry"),
    ],
)
async def test_a_video_that_fails_costs_nothing_and_says_why(
    gateway: Gateway, answer: Whole, code: str, part: str
) -> None:
    gateway.provider.looks = [answer]
    video_id = await gateway.begun()
    video = await gateway.finished(video_id)
    assert (video["status"], video["error"]["code"], part in video["error"]["message"]) == ("failed", code, True)
    assert video["usage"] == {"units": {}, "cost_estimate": 0.0}
    assert await gateway.held() == (0, 0, 0)
    assert gateway.audit == ["request.started", "request.failed"]
    content = await gateway.get(f"/{video_id}/content")
    assert (content.status, content.json["error"]["param"]) == (400, "video_id")


@pytest.mark.parametrize(
    ("model", "answer", "code", "part", "cost"),
    [
        ("xai/film", said(200, status="expired"), "provider_error", "no video", 280_000_000),
        ("xai/film", said(200, status="done"), "provider_error", "without", 280_000_000),
        (
            "xai/film",
            said(200, status="done", video={"url": None, "respect_moderation": False}),
            "validation_error",
            "moderation",
            280_000_000,
        ),
        (
            "xai/film",
            said(
                200,
                status="done",
                video={"url": "", "respect_moderation": False},
                usage={"cost_in_usd_ticks": 500_000_001},
            ),
            "validation_error",
            "moderation",
            50_000_001,
        ),
        (
            "runway/clip",
            said(200, status="FAILED", failure="no", failureCode="SAFETY.OUTPUT.VIDEO"),
            "validation_error",
            "no",
            280_000_000,
        ),
    ],
)
async def test_a_video_that_fails_and_is_charged_is_paid(
    gateway: Gateway, model: str, answer: Whole, code: str, part: str, cost: int
) -> None:
    gateway.provider.begins = said(200, request_id="r-1", id="r-1")
    gateway.provider.looks = [answer]
    video = await gateway.finished(await gateway.begun(model=model))
    assert (video["status"], video["error"]["code"], part in video["error"]["message"]) == ("failed", code, True)
    assert video["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": cost / 10**9}
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("error", cost)]
    assert await gateway.held() == (0, cost, cost)


async def test_what_the_provider_says_that_it_charges_is_paid_whoever_tells_it(gateway: Gateway) -> None:
    done = {"status": "done", "video": {"url": URL, "duration": 4}, "usage": {"cost_in_usd_ticks": 9_000_000_000}}
    gateway.provider.looks = [said(200, **done)]
    video_id = await gateway.begun()
    events, gateway.world = gateway.world.events, replace(gateway.world, events=Dying())
    assert (await gateway.get(f"/{video_id}")).status == 500
    gateway.world = replace(gateway.world, events=events)
    gateway.clock.unix_s += 60
    video = (await gateway.get(f"/{video_id}")).json
    assert video["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": 0.9}
    assert [record.cost_nano_usd for record in gateway.usage] == [900_000_000]
    assert await gateway.held() == (0, 900_000_000, 900_000_000)


@pytest.mark.parametrize(
    "answer",
    [
        said(500),
        said(429),
        said(401),
        said(400, error="odd"),
        said(422),
        KEY_REFUSED,
        Whole(200, b"<"),
        ProviderError("gone"),
    ],
)
async def test_a_look_that_finds_nothing_out_is_repeated(gateway: Gateway, answer: Whole | Exception) -> None:
    gateway.provider.looks = [answer, DONE]
    video_id = await gateway.begun()
    assert (await gateway.get(f"/{video_id}")).json["status"] == "queued"
    assert isinstance(gateway.world.records, ListRecords)
    assert [trouble["event"] for trouble in gateway.world.records.troubles] == ["job.not_looked_at"]
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"


@pytest.mark.parametrize("status", [404, 410])
async def test_a_provider_that_forgot_the_video_is_paid_all_the_same(gateway: Gateway, status: int) -> None:
    gateway.provider.looks = [said(status, code="not-found", error="unknown")]
    video = await gateway.finished(await gateway.begun())
    assert (video["status"], video["error"]["code"]) == ("failed", "provider_error")
    assert video["usage"]["cost_estimate"] == 0.28


class FullStorage(MemoryFiles):
    is_full = True

    async def put_stream(self, tenant_id: str, file: File, chunks: AsyncIterator[bytes]) -> int:
        if self.is_full:
            raise StorageUnavailable("full")
        return await super().put_stream(tenant_id, file, chunks)


async def test_storage_that_fails_is_told_and_tried_again(gateway: Gateway) -> None:
    files = FullStorage(gateway.clock)
    gateway.world, gateway.files = replace(gateway.world, files=files), files
    gateway.provider.looks = [DONE]
    video_id = await gateway.begun()
    full = await gateway.get(f"/{video_id}")
    assert (full.status, full.json["error"]["code"]) == (503, "storage_unavailable")
    assert (await gateway.get(f"/{video_id}", later=False)).json["status"] == "queued"
    assert gateway.usage == []
    files.is_full = False
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert [record.cost_nano_usd for record in gateway.usage] == [280_000_000]


async def test_storage_that_comes_back_is_waited_for(gateway: Gateway) -> None:
    files = FullStorage(gateway.clock)
    gateway.world, gateway.files = replace(gateway.world, files=files), files
    gateway.provider.looks = [DONE]

    async def restore(request: HttpRequest) -> None:
        files.is_full = gateway.provider.looked < 2

    gateway.provider.before = restore
    answer = await gateway.create(**{"async": False})
    assert (answer.status, answer.json["status"]) == (200, "completed")


async def test_storage_that_never_comes_back_does_not_make_it_free(gateway: Gateway) -> None:
    files = FullStorage(gateway.clock)
    gateway.world, gateway.files = replace(gateway.world, files=files), files
    gateway.provider.looks = [DONE]
    video_id = await gateway.begun()
    await gateway.get(f"/{video_id}")
    gateway.clock.unix_s += LONGEST_S
    video = (await gateway.get(f"/{video_id}")).json
    assert (video["status"], video["error"]["code"]) == ("failed", "provider_timeout")
    assert [record.cost_nano_usd for record in gateway.usage] == [280_000_000]


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([MP4[:500], ProviderError("broken off")], "queued"),
        ([ProviderError("The site answered with status 503.", provider_code="upstream_status")], "queued"),
        ([b"<html><body>not found</body></html>"], "failed"),
        ([], "failed"),
        (None, "failed"),
    ],
)
async def test_a_finished_video_that_cannot_be_read(gateway: Gateway, pieces: Any, status: str) -> None:
    """What broke off is read again, what is gone or no video ends it; the provider is paid."""
    gateway.provider.looks = [DONE]
    gateway.downloads.there = {} if pieces is None else {URL: pieces}
    video = (await gateway.get(f"/{await gateway.begun()}")).json
    assert video["status"] == status
    assert gateway.files.whole == {}
    if status == "failed":
        assert [record.cost_nano_usd for record in gateway.usage] == [280_000_000]
        assert video["usage"]["cost_estimate"] == 0.28


async def test_the_length_that_was_made_is_paid(gateway: Gateway) -> None:
    gateway.provider.looks = [said(200, status="done", video={"url": URL, "duration": 3.2})]
    video = await gateway.finished(await gateway.begun(seconds=8))
    assert video["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": 0.28}


async def test_a_key_goes_to_the_providers_own_address_only(gateway: Gateway) -> None:
    """Google's finished videos are read with the key, and where it redirects to without."""
    gateway.provider.begins = said(200, name="models/veo/operations/o1")
    sample = {"video": {"uri": "https://generativelanguage.googleapis.com/v1beta/files/f:download?alt=media"}}
    done = said(200, name="o", done=True, response={"generateVideoResponse": {"generatedSamples": [sample]}})
    gateway.provider.looks = [done, Whole(302, b"", {"location": URL})]
    video = await gateway.finished(await gateway.begun(model="google/veo"))
    assert (video["status"], gateway.downloads.opened) == ("completed", [URL])
    assert [request.url.rpartition("/")[2] for request in gateway.provider.sent] == [
        "veo:predictLongRunning",
        "o1",
        "f:download?alt=media",
    ]
    assert all(request.headers["x-goog-api-key"] == "provider-key" for request in gateway.provider.sent)


async def test_a_video_read_with_the_key_may_come_at_once(gateway: Gateway) -> None:
    gateway.provider.begins = said(200, name="models/veo/operations/o1")
    sample = {"video": {"uri": "https://generativelanguage.googleapis.com/v1beta/files/f:download?alt=media"}}
    done = said(200, name="o", done=True, response={"generateVideoResponse": {"generatedSamples": [sample]}})
    gateway.provider.looks = [done, Whole(200, MP4)]
    video = await gateway.finished(await gateway.begun(model="google/veo"))
    assert (video["gateway"]["size_bytes"], gateway.downloads.opened) == (len(MP4), [])


@pytest.mark.parametrize(
    ("status", "ends"),
    [(404, "failed"), (410, "failed"), (401, "queued"), (403, "queued"), (500, "queued"), (429, "queued")],
)
async def test_a_video_that_the_key_does_not_open(gateway: Gateway, status: int, ends: str) -> None:
    gateway.provider.begins = said(200, name="models/veo/operations/o1")
    sample = {"video": {"uri": "https://generativelanguage.googleapis.com/v1beta/files/f"}}
    done = said(200, name="o", done=True, response={"generateVideoResponse": {"generatedSamples": [sample]}})
    gateway.provider.looks = [done, said(status)]
    assert (await gateway.get(f"/{await gateway.begun(model='google/veo')}")).json["status"] == ends
