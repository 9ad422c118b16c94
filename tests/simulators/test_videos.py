"""The simulated makers of videos, and that what they make is a video."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from local.simulators import mp4
from tests.simulators.process import KEY, Simulator

AUTH = {"authorization": f"Bearer {KEY}"}
VERSION = {"x-runway-version": "2024-11-06"}
CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"}


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of every box, depth first; fails where sizes do not fit."""
    end = len(data) if end is None else end
    while start < end:
        size = struct.unpack_from(">I", data, start)[0]
        kind = data[start + 4 : start + 8]
        assert 8 <= size <= end - start, kind
        if kind in CONTAINERS:
            yield from boxes(data, start + 8, start + size)
        else:
            yield kind, data[start + 8 : start + size]
        start += size


@pytest.mark.parametrize(("seconds", "padding"), [(1, 0), (5, 100_000)])
def test_a_video_is_an_mp4_with_as_many_pictures_as_seconds(seconds: int, padding: int) -> None:
    data = mp4.video(320, 240, seconds, padding_bytes=padding)
    found = dict(boxes(data))
    assert next(iter(found)) == b"ftyp"
    assert struct.unpack(">II", found[b"mvhd"][12:20]) == (1, seconds)
    assert struct.unpack(">II", found[b"tkhd"][-8:]) == (320 << 16, 240 << 16)
    sizes = struct.unpack(f">{seconds}I", found[b"stsz"][12:])
    offset = struct.unpack(">I", found[b"stco"][8:])[0]
    for size in sizes:
        frame = data[offset : offset + size]
        assert frame.startswith(b"\x89PNG\r\n\x1a\n")
        assert frame.endswith(b"IEND\xaeB`\x82")
        assert struct.unpack(">II", frame[16:24]) == (320, 240)
        offset += size
    assert len(found.get(b"free", b"")) == padding
    assert data == mp4.video(320, 240, seconds, padding_bytes=padding)


def ask(simulator: Simulator, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.request(method, f"{simulator.url}{path}", json=body, headers={**AUTH, **headers})


VEO = "/google/v1beta/models/veo:predictLongRunning"
GOOGLE = {"x-goog-api-key": KEY}


def begin_veo(simulator: Simulator, prompt: str, **parameters: Any) -> str:
    """The operation's name. The SDK has no videos of the Gemini API since its version 3."""
    body = {"instances": [{"prompt": prompt}], "parameters": parameters}
    name: str = ask(simulator, "POST", VEO, body, **GOOGLE).json()["name"]
    return name


def test_googles_operation_runs_and_leads_to_the_video(simulator: Simulator) -> None:
    name = begin_veo(simulator, "waves [[looks=2]]", durationSeconds=4, aspectRatio="9:16", resolution="720p")
    looks = [ask(simulator, "GET", f"/google/v1beta/{name}", **GOOGLE).json() for _ in range(3)]
    assert [look.get("done", False) for look in looks] == [False, False, True]
    (sample,) = looks[2]["response"]["generateVideoResponse"]["generatedSamples"]
    without_key = httpx.get(sample["video"]["uri"])
    assert without_key.status_code == 403
    moved = httpx.get(sample["video"]["uri"], headers=GOOGLE)
    assert moved.status_code == 302
    assert httpx.get(moved.headers["location"]).content == mp4.video(720, 1280, 4)


@pytest.mark.parametrize(("switch", "reason"), [("failed", "failed"), ("moderated", "filtered")])
def test_googles_videos_may_come_to_nothing(simulator: Simulator, switch: str, reason: str) -> None:
    name = begin_veo(simulator, f"a [[looks=0 video={switch}]]")
    assert reason in ask(simulator, "GET", f"/google/v1beta/{name}", **GOOGLE).text


@pytest.mark.parametrize(
    "parameters",
    [{"durationSeconds": 5}, {"resolution": "1080p", "durationSeconds": 4}, {"aspectRatio": "1:1"}, {"x": 1}],
)
def test_google_refuses(simulator: Simulator, parameters: dict[str, Any]) -> None:
    body = {"instances": [{"prompt": "a"}], "parameters": parameters}
    assert ask(simulator, "POST", VEO, body, **GOOGLE).status_code == 400


def test_xais_video_is_pending_and_then_at_a_public_url(simulator: Simulator) -> None:
    body = {
        "model": "grok-imagine-video",
        "prompt": "waves",
        "duration": 2,
        "resolution": "480p",
        "aspect_ratio": "1:1",
    }
    name = ask(simulator, "POST", "/xai/v1/videos/generations", body).json()["request_id"]
    pending = ask(simulator, "GET", f"/xai/v1/videos/{name}")
    assert (pending.status_code, pending.json()) == (202, {"status": "pending", "progress": 50})
    done = ask(simulator, "GET", f"/xai/v1/videos/{name}").json()
    assert (done["status"], done["video"]["duration"]) == ("done", 2)
    assert httpx.get(done["video"]["url"]).content == mp4.video(480, 480, 2)


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ("failed", {"status": "failed"}),
        ("moderated", {"status": "done"}),
    ],
)
def test_xais_videos_may_come_to_nothing(simulator: Simulator, switch: str, expected: dict[str, str]) -> None:
    body = {"model": "grok-imagine-video", "prompt": f"waves [[looks=0 video={switch}]]"}
    name = ask(simulator, "POST", "/xai/v1/videos/generations", body).json()["request_id"]
    answer = ask(simulator, "GET", f"/xai/v1/videos/{name}").json()
    assert answer.items() >= expected.items()
    assert not answer.get("video", {}).get("url")


def test_runways_task_waits_runs_and_succeeds(simulator: Simulator) -> None:
    body = {"model": "gen4.5", "promptText": "waves [[looks=2]]", "ratio": "1280:720", "duration": 2}
    name = ask(simulator, "POST", "/runway/v1/text_to_video", body, **VERSION).json()["id"]
    tasks = [ask(simulator, "GET", f"/runway/v1/tasks/{name}", **VERSION).json() for _ in range(3)]
    assert [task["status"] for task in tasks] == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert httpx.get(tasks[2]["output"][0]).content == mp4.video(1280, 720, 2)


def test_a_look_is_held_at_a_gate(simulator: Simulator) -> None:
    body = {"model": "gen4.5", "promptText": "waves [[looks=0]]", "ratio": "1280:720", "duration": 2}
    name = ask(simulator, "POST", "/runway/v1/text_to_video", body, **VERSION).json()["id"]
    simulator.control("POST", "faults", json={"provider": "runway", "model": "files", "fault": "gate=look"})
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(ask, simulator, "GET", f"/runway/v1/tasks/{name}", **VERSION)
        deadline_s = time.monotonic() + 10
        while not simulator.control("GET", "gates/look")["waiting"]:
            assert time.monotonic() < deadline_s
        assert not look.done()
        simulator.control("POST", "gates/look")
        assert look.result().json()["status"] == "SUCCEEDED"


def test_a_runway_task_that_is_cancelled_is_gone(simulator: Simulator) -> None:
    body = {"model": "gen4.5", "promptText": "waves", "ratio": "1280:720", "duration": 2}
    name = ask(simulator, "POST", "/runway/v1/text_to_video", body, **VERSION).json()["id"]
    assert ask(simulator, "DELETE", f"/runway/v1/tasks/{name}", **VERSION).status_code == 204
    assert ask(simulator, "GET", f"/runway/v1/tasks/{name}", **VERSION).status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"ratio": "1:1"}, 400),
        ({"duration": 11}, 400),
        ({"promptText": ""}, 400),
        ({"promptText": "a" * 1001}, 400),
        ({"extra": 1}, 400),
        ({"model": "does-not-exist"}, 400),
        ({"promptText": "a [[status=429]]"}, 429),
    ],
)
def test_runway_refuses(simulator: Simulator, change: dict[str, Any], status: int) -> None:
    body = {"model": "gen4.5", "promptText": "waves", "ratio": "1280:720", "duration": 2, **change}
    answer = ask(simulator, "POST", "/runway/v1/text_to_video", body, **VERSION)
    assert (answer.status_code, "error" in answer.json()) == (status, True)
    assert ask(simulator, "POST", "/runway/v1/text_to_video", body).status_code == 400


@pytest.mark.parametrize(("switch", "status"), [("gone", 404), ("page", 200)])
def test_what_is_at_the_url_may_be_no_video(simulator: Simulator, switch: str, status: int) -> None:
    body = {"model": "grok-imagine-video", "prompt": f"waves [[looks=0 video={switch}]]"}
    name = ask(simulator, "POST", "/xai/v1/videos/generations", body).json()["request_id"]
    url = ask(simulator, "GET", f"/xai/v1/videos/{name}").json()["video"]["url"]
    answer = httpx.get(url)
    assert (answer.status_code, answer.headers["content-type"] == "video/mp4") == (status, False)
