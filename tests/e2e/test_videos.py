"""Videos through the unmodified OpenAI SDK, on every provider: begun, polled, stored, downloaded, paid once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import httpx2
import openai
import pytest

from local.simulators import mp4
from tests.e2e.conftest import Gateway
from tests.e2e.contract import check
from tests.e2e.customer import Customer, aws, customer_of, eventually

MODELS = {
    "google": ("google/veo-3.1-lite-generate-preview", 4),
    "xai": ("xai/grok-imagine-video", 2),
    "runway": ("runway/gen4.5", 2),
}
PNG = mp4.picture(64, 64, (10, 20, 30))
pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]


def _check(response: Any) -> None:
    response.read()
    kind, path = response.headers.get("content-type", ""), response.request.url.path
    if response.status_code >= 400 and kind.startswith("application/json"):
        check("ErrorEnvelope", json.loads(response.content))
    elif response.status_code == 200 and "/v1/videos" in path and not path.endswith("/content"):
        schema = {"GET": "VideoList" if path.endswith("/videos") else "Video", "POST": "Video"}
        check(schema.get(response.request.method, "VideoDeleted"), json.loads(response.content))


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The official client; it follows the redirect to a video's content."""
    with (
        httpx2.Client(timeout=90, event_hooks={"response": [_check]}, follow_redirects=True) as transport,
        openai.OpenAI(base_url=gateway.http, api_key=gateway.api_key, max_retries=0, http_client=transport) as client,
    ):
        yield client


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    with customer_of(local, "video", _check) as customer:
        yield customer


def create(http: httpx.Client, prompt: str = "waves", **members: Any) -> Any:
    model, seconds = MODELS["xai"]
    body = {"model": model, "seconds": seconds, "size": "480x480", "prompt": prompt, **members}
    answer = http.post("/videos", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def finished(http: httpx.Client, video_id: str) -> Any:
    def look() -> Any:
        video = http.get(f"/videos/{video_id}").raise_for_status().json()
        return video if video["status"] in ("completed", "failed") else None

    return eventually(look)


@pytest.mark.parametrize("provider", MODELS)
def test_the_sdk_creates_polls_and_downloads(local: Gateway, sdk: openai.OpenAI, provider: str) -> None:
    model, seconds = MODELS[provider]
    video = sdk.videos.create(model=model, prompt="waves [[looks=2]]", seconds=str(seconds), size="720x1280")  # type: ignore[arg-type]  # the SDK knows Sora's lengths only
    assert (video.status, video.model, video.seconds) == ("queued", model, str(seconds))
    video = sdk.videos.poll(video.id)
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    expected = mp4.video(720, 1280, seconds)
    assert sdk.videos.download_content(video.id).read() == expected
    told: dict[str, Any] = video.gateway  # type: ignore[attr-defined]  # a member of this gateway
    by_link = subprocess.run(["curl", "-fsS", told["url"]], capture_output=True, timeout=30, check=True)  # noqa: S603, S607
    assert by_link.stdout == expected
    assert (told["content_type"], told["size_bytes"]) == ("video/mp4", len(expected))
    assert sdk.files.content(told["file_id"]).read() == expected
    file = sdk.files.retrieve(told["file_id"]).to_dict()
    check("File", file)
    assert (file["purpose"], file["expires_at"]) == ("generated", video.expires_at)
    assert file["gateway"]["model"] == model  # type: ignore[index]
    assert file["gateway"]["request_id"] == told["request_id"]  # type: ignore[index]
    assert sdk.videos.delete(video.id).deleted
    for gone in (lambda: sdk.videos.retrieve(video.id), lambda: sdk.files.retrieve(told["file_id"])):
        with pytest.raises(openai.NotFoundError):
            gone()


def test_a_real_provider_makes_a_video(gateway: Gateway, sdk: openai.OpenAI) -> None:
    """Also against a gateway elsewhere, whose providers are real."""
    video = sdk.videos.create_and_poll(model=MODELS["google"][0], prompt="waves at sunset", seconds="4")
    assert video.status == "completed"
    assert sdk.videos.download_content(video.id).read()[4:8] == b"ftyp"
    sdk.videos.delete(video.id)


def test_a_video_begins_with_a_picture_that_the_sdk_uploads(local: Gateway, sdk: openai.OpenAI) -> None:
    video = sdk.videos.create(model="runway/gen4_turbo", prompt="it moves", seconds="4", input_reference=("a.png", PNG))
    assert sdk.videos.poll(video.id).status == "completed"
    sent = httpx.get(f"{local.simulators}/_sim/requests", params={"provider": "runway"}).json()["requests"]
    assert any("/image_to_video" in request["path"] for request in sent), sent
    sdk.videos.delete(video.id)


def test_it_can_be_waited_for(customer: Customer) -> None:
    video = create(customer.http, "waves [[looks=2]]", **{"async": False})
    assert (video["status"], video["gateway"]["size_bytes"]) == ("completed", len(mp4.video(480, 480, 2)))


def test_who_waited_in_vain_goes_on_from_there(sdk: openai.OpenAI) -> None:
    """By the SDK, which takes the 202 as a video, and by the job that it names."""
    impatient = {"async": False, "timeouts": {"total_ms": 3_000}}
    answer = sdk.videos.with_raw_response.create(
        model=MODELS["xai"][0], prompt="waves [[looks=4]]", seconds="4", extra_body=impatient
    )
    video = answer.parse()
    assert (answer.status_code, video.object) == (202, "video")
    assert video.status in ("queued", "in_progress")
    assert answer.headers["location"] == f"jobs/{video.id}"
    assert sdk.videos.poll(video.id).status == "completed"
    job = sdk.get(f"/jobs/{video.id}", cast_to=httpx.Response).json()
    assert (job["object"], job["status"], job["result"]["body"]["id"]) == ("job", "completed", video.id)
    sdk.videos.delete(video.id)


def test_it_is_told_and_paid_once(customer: Customer) -> None:
    video = create(customer.http, metadata={"conversation_id": "c-1"})
    with ThreadPoolExecutor(8) as pool:
        done = [*pool.map(lambda _: finished(customer.http, video["id"]), range(8))]
    assert {one["gateway"]["file_id"] for one in done} == {done[0]["gateway"]["file_id"]}
    assert {one["usage"]["cost_estimate"] for one in done} == {0.1}
    total = customer.used(1)
    assert (total["cost_nano_usd"], total["errors"], total["lost"]) == (100_000_000, 0, 0)
    assert customer.settled_nano_usd() == {"T": 100_000_000, "U": 100_000_000}
    listed = customer.http.get("/videos").json()
    assert [one["id"] for one in listed["data"]] == [video["id"]]
    request = customer.http.get(f"/usage/requests/{video['gateway']['request_id']}").raise_for_status().json()
    assert request["operation"] == "videos"
    assert [attempt["model"] for attempt in request["attempts"]] == [MODELS["xai"][0]]


@pytest.mark.parametrize(
    ("provider", "switch", "code", "paid"),
    [
        ("xai", "failed", "provider_error", 0.0),
        ("xai", "moderated", "validation_error", 0.1),
        ("xai", "gone", "provider_error", 0.1),
        ("runway", "failed", "provider_error", 0.0),
        ("runway", "moderated", "validation_error", 0.24),
        ("google", "moderated", "validation_error", 0.0),
    ],
)
def test_a_video_that_comes_to_nothing(customer: Customer, provider: str, switch: str, code: str, paid: float) -> None:
    """xAI and Runway charge for what their moderation stops, Google does not."""
    model, seconds = MODELS[provider]
    size = "480x480" if provider == "xai" else "1280x720"
    prompt = f"waves [[video={switch}]]"
    video = finished(customer.http, create(customer.http, prompt, model=model, seconds=seconds, size=size)["id"])
    assert (video["status"], video["error"]["code"], video["usage"]["cost_estimate"]) == ("failed", code, paid)
    refused = customer.http.get(f"/videos/{video['id']}/content")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "video_id")


def test_a_video_that_is_deleted_before_it_is_finished(customer: Customer) -> None:
    model, _ = MODELS["runway"]
    video = create(customer.http, "waves [[video=stuck]]", model=model, size="1280x720")
    assert customer.http.delete(f"/videos/{video['id']}").json()["deleted"]
    assert customer.http.get(f"/videos/{video['id']}").json()["error"]["code"] == "job_not_found"
    assert customer.used(1)["cost_nano_usd"] == 240_000_000


def test_another_tenants_videos_are_not_found(customer: Customer, local: Gateway) -> None:
    video = create(customer.http)
    headers = {"authorization": f"Bearer {local.api_key}"}
    for path in (f"/videos/{video['id']}", f"/videos/{video['id']}/content"):
        assert httpx.get(f"{local.http}{path}", headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "xai/grok-imagine-video"}, 400, "prompt"),
        ({"prompt": "a"}, 400, "model"),
        ({"model": "openai/gpt-4o", "prompt": "a"}, 400, "model"),
        ({"model": "xai/grok-imagine-video", "prompt": "a", "seconds": "16"}, 400, "seconds"),
        ({"model": "xai/grok-imagine-video", "prompt": "a", "size": "1x1"}, 400, "size"),
        ({"model": "xai/grok-imagine-video", "prompt": "a", "size": "3840x2160"}, 400, "size"),
        ({"model": "runway/gen4_turbo", "prompt": "a"}, 400, "input_reference"),
        ({"model": "runway/gen4.5", "prompt": "a" * 1001}, 400, None),
        (
            {"model": "xai/grok-imagine-video", "prompt": "a", "input_reference": {"file_id": "file_1"}},
            422,
            "input_reference",
        ),
    ],
)
def test_bad_input_is_named(customer: Customer, body: dict[str, Any], status: int, param: str | None) -> None:
    answer = customer.http.post("/videos", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert customer.settled_nano_usd() in ({}, {"T": 0, "U": 0})


def test_a_large_video_is_stored_in_parts_and_none_are_left(customer: Customer, local: Gateway) -> None:
    video = finished(customer.http, create(customer.http, "waves [[video_kb=30000]]")["id"])
    expected = mp4.video(480, 480, 2, padding_bytes=30_000 * 1024)
    content = customer.http.get(f"/videos/{video['id']}/content", follow_redirects=True)
    assert (content.status_code, content.content == expected) == (200, True)
    s3 = aws(local, "s3")
    (bucket,) = [one["Name"] for one in s3.list_buckets()["Buckets"] if "files" in one["Name"]]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
