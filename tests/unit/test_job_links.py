"""Links in the result of a job: they open what was made for as long as the job has its result."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.entry.jobs import jobs_app
from gateway.model.file import File, Origin, new_file_id
from gateway.pipeline.fresh_links import with_fresh_links
from gateway.pipeline.generated_media import KeptMedia
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_work import ask
from tests.asgi import call
from tests.fakes import ManualClock, MemoryFiles
from tests.unit.conftest import KEY
from tests.unit.test_images_function import Gateway, gateway

__all__ = ["gateway"]


async def test_links_are_signed_when_the_job_is_read(gateway: Gateway) -> None:
    assert isinstance(gateway.world.clock, ManualClock)
    job_id = (await gateway.paint(n=2, **{"async": True})).json["id"]
    await ask(await gateway.world.jobs.get("acme", job_id), gateway.world)
    await settle(await gateway.world.jobs.get("acme", job_id), gateway.world)
    gateway.world.clock.unix_s += 3_600
    shown = await call(
        jobs_app(gateway.world), b"", {"authorization": f"Bearer {KEY}"}, method="GET", path=f"/v1/jobs/{job_id}"
    )
    images = shown.json["result"]["body"]["data"]
    assert [image["url_expires_at"] - gateway.world.clock.now_s() for image in images] == [600, 600]


async def kept(files: MemoryFiles, number: int) -> dict[str, Any]:
    file_id = new_file_id("generated", files.clock.now_s(), number.to_bytes(10))
    file = File(file_id, "image_1.png", "image/png", 1, 2_000_000_000, origin=Origin("x/y", "req_1"))
    await files.put("acme", file, b"a")
    return KeptMedia(file, await files.link("acme", file)).told()


async def test_whatever_was_kept_is_linked_anew(clock: ManualClock) -> None:
    files = MemoryFiles(clock)
    image, sound = await kept(files, 1), await kept(files, 2)
    chat: dict[str, Any] = {"choices": [{"message": {"content": "", "media": [{"type": "image", **image}]}}]}
    clock.unix_s += 60
    assert (await with_fresh_links({"object": "audio.speech", **sound}, "acme", files))["url_expires_at"] == (
        sound["url_expires_at"] + 60
    )
    again = (await with_fresh_links(chat, "acme", files))["choices"][0]["message"]["media"][0]
    assert again == {"type": "image", **image, "url_expires_at": image["url_expires_at"] + 60}
    assert chat["choices"][0]["message"]["media"][0]["url_expires_at"] == image["url_expires_at"]


async def test_what_is_gone_or_not_ours_stays_as_it_was(clock: ManualClock) -> None:
    files = MemoryFiles(clock)
    gone, there = await kept(files, 1), await kept(files, 2)
    await files.delete("acme", gone["file_id"])
    clock.unix_s += 60
    said = {"url": "https://elsewhere.example/a.png", "url_expires_at": 1, "file_id": there["file_id"]}
    for body in (gone, said, {**there, "file_id": gone["file_id"]}, {**there, "url": 1}, "text", None, [1]):
        assert await with_fresh_links(body, "acme", files) == body


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
