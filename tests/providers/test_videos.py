"""What the wires of videos send and understand, beyond what is recorded. Shapes: the pages that the wires name."""

from __future__ import annotations

import base64
import json
from pkgutil import iter_modules
from typing import Any

import pytest
from msgspec.structs import replace

import gateway.providers
from gateway.model.catalog import ModelFacts
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRateLimited, ProviderRejected
from gateway.model.video import Picture, VideoOrder, VideoState
from gateway.providers.contract import Target, VideoWire
from gateway.providers.lookup import has_provider, provider_named

NAMES = [name for _, name, _ in iter_modules(gateway.providers.__path__) if has_provider(name)]
MAKERS = sorted(name for name in NAMES if provider_named(name).videos)
PICTURE = Picture(b"\x89PNG", "image/png")
DATA = base64.b64encode(PICTURE.data).decode()
SIZE = ("1280x720", "720p", "16:9")


def spoken(name: str) -> tuple[VideoWire, Target]:
    provider = provider_named(name)
    return provider.videos["videos"], Target(name, ModelFacts(id="m/1", name=""), provider.base_url or "")


def said(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_the_makers_are_these() -> None:
    assert MAKERS == ["google", "runway", "xai"]


@pytest.mark.parametrize(
    ("name", "picture", "path", "body"),
    [
        (
            "google",
            None,
            "/v1beta/models/m%2F1:predictLongRunning",
            {
                "instances": [{"prompt": "waves"}],
                "parameters": {"durationSeconds": 4, "resolution": "720p", "aspectRatio": "16:9"},
            },
        ),
        (
            "google",
            PICTURE,
            "/v1beta/models/m%2F1:predictLongRunning",
            {
                "instances": [{"prompt": "waves", "image": {"bytesBase64Encoded": DATA, "mimeType": "image/png"}}],
                "parameters": {"durationSeconds": 4, "resolution": "720p", "aspectRatio": "16:9"},
            },
        ),
        (
            "xai",
            None,
            "/videos/generations",
            {
                "model": "m/1",
                "prompt": "waves",
                "duration": 4,
                "resolution": "720p",
                "aspect_ratio": "16:9",
            },
        ),
        (
            "xai",
            PICTURE,
            "/videos/generations",
            {
                "model": "m/1",
                "prompt": "waves",
                "duration": 4,
                "resolution": "720p",
                "image": {"url": f"data:image/png;base64,{DATA}"},
            },
        ),
        (
            "runway",
            None,
            "/v1/text_to_video",
            {"model": "m/1", "promptText": "waves", "ratio": "1280:720", "duration": 4},
        ),
        (
            "runway",
            PICTURE,
            "/v1/image_to_video",
            {
                "model": "m/1",
                "promptText": "waves",
                "ratio": "1280:720",
                "duration": 4,
                "promptImage": f"data:image/png;base64,{DATA}",
            },
        ),
    ],
)
def test_an_order_is_said_in_the_providers_words(name: str, picture: Picture | None, path: str, body: Any) -> None:
    wire, target = spoken(name)
    request = wire.render(VideoOrder("waves", 4, *SIZE, picture=picture), target)
    assert (request.method, request.url) == ("POST", target.base_url + path)
    assert json.loads(request.body) == body
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *(("google", name) for name in ("durationSeconds", "duration_seconds", "sampleCount", "generateAudio")),
        *(("google", name) for name in ("lastFrame", "referenceImages", "storageUri", "parameters")),
        *(("xai", name) for name in ("resolution", "reference_images", "reference_audios", "last_frame", "keyframes")),
        *(("xai", name) for name in ("output", "storage_options", "video", "n")),
        *(("runway", name) for name in ("ratio", "model", "promptImage", "references", "keyframes", "audio")),
    ],
)
def test_no_option_changes_what_is_paid_or_has_the_provider_fetch_something(name: str, option: str) -> None:
    """Only options that are known to do neither are taken: what a price depends on grows."""
    wire, target = spoken(name)
    with pytest.raises(CapabilityNotSupported) as refused:
        wire.render(VideoOrder("waves", 4, *SIZE, options={option: "x"}), target)
    assert refused.value.param == f"provider_options.{name}.{option}"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("google", {"negativePrompt": "boats", "personGeneration": "allow_adult", "seed": 7}),
        ("xai", {"user": "u-1"}),
        ("runway", {"seed": 7, "contentModeration": {"publicFigureThreshold": "low"}}),
    ],
)
def test_options_that_are_sent(name: str, options: dict[str, Any]) -> None:
    wire, target = spoken(name)
    body = json.loads(wire.render(VideoOrder("waves", 4, *SIZE, options=options), target).body)
    assert options.items() <= body.get("parameters", body).items()


@pytest.mark.parametrize(
    ("name", "path"),
    [("google", "/v1beta/models/m/operations/a%3Fb"), ("xai", "/videos/models%2Fm%2Foperations%2Fa%3Fb")],
)
def test_a_name_from_the_provider_does_not_leave_its_place(name: str, path: str) -> None:
    wire, target = spoken(name)
    assert wire.look("models/m/operations/a?b", target).url == target.base_url + path


OPERATION = {"name": "models/m/operations/1"}
SORRY = VideoState("failed", message="sorry", code="failed")
GONE = VideoState("failed", message="It was finished without a video.", code="done", is_charged=True)
FILTERED = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["Blocked by policy."]}


@pytest.mark.parametrize(
    ("name", "body", "state"),
    [
        (
            "google",
            {**OPERATION, "done": True, "error": {"code": 13, "message": "internal"}},
            VideoState("failed", message="internal", code="13"),
        ),
        (
            "google",
            {**OPERATION, "done": True, "error": {"code": 3, "message": "bad image"}},
            VideoState("failed", message="bad image", code="3", is_refused=True),
        ),
        (
            "google",
            {**OPERATION, "done": True, "response": {"generateVideoResponse": FILTERED}},
            VideoState("failed", message="Blocked by policy.", code="filtered", is_refused=True),
        ),
        ("xai", {"status": "pending"}, VideoState("running")),
        ("xai", {"status": "expired"}, VideoState("failed", code="expired", is_charged=True)),
        ("xai", {"status": "done"}, GONE),
        ("xai", {"status": "done", "video": {"url": "", "duration": 4}}, GONE),
        (
            "xai",
            {"status": "done", "video": {"url": ""}, "usage": {"cost_in_usd_ticks": 15}},
            replace(GONE, stated_cost_nano_usd=2),
        ),
        *(
            ("xai", {"status": "failed", "error": "sorry", "usage": usage}, SORRY)
            for usage in (None, 1, {}, {"cost_in_usd_ticks": "1"}, {"cost_in_usd_ticks": -1})
        ),
        (
            "xai",
            {"status": "failed", "error": {"code": "internal_error", "message": "sorry"}},
            VideoState("failed", message="sorry", code="internal_error"),
        ),
        ("xai", {"status": "failed", "error": "sorry"}, VideoState("failed", message="sorry", code="failed")),
        (
            "xai",
            {"status": "done", "video": {"url": "", "respect_moderation": False}},
            VideoState(
                "failed",
                message="The video was stopped by the provider's moderation.",
                code="respect_moderation",
                is_refused=True,
                is_charged=True,
            ),
        ),
        (
            "xai",
            {"status": "done", "video": {"url": "https://a/b", "duration": 5.2}},
            VideoState("completed", 100, "https://a/b", 6),
        ),
        ("runway", {"status": "PENDING"}, VideoState("pending")),
        ("runway", {"status": "THROTTLED"}, VideoState("pending")),
        ("runway", {"status": "RUNNING", "progress": 0.42}, VideoState("running", 42)),
        ("runway", {"status": "RUNNING"}, VideoState("running")),
        ("runway", {"status": "SUCCEEDED", "output": ["https://a/b"]}, VideoState("completed", 100, "https://a/b")),
        (
            "runway",
            {"status": "FAILED", "failure": "oops", "failureCode": "INTERNAL.BAD_OUTPUT.CODE01"},
            VideoState("failed", message="oops", code="INTERNAL.BAD_OUTPUT.CODE01"),
        ),
        (
            "runway",
            {"status": "FAILED", "failure": "no", "failureCode": "SAFETY.INPUT.TEXT"},
            VideoState("failed", message="no", code="SAFETY.INPUT.TEXT", is_refused=True, is_charged=True),
        ),
        (
            "runway",
            {"status": "SUCCEEDED", "output": []},
            VideoState("failed", message="It was finished without a video.", code="SUCCEEDED", is_charged=True),
        ),
        ("runway", {"status": "CANCELLED"}, VideoState("failed", code="CANCELLED")),
    ],
)
def test_states(name: str, body: Any, state: VideoState) -> None:
    wire, target = spoken(name)
    assert wire.state(said(body), target) == state


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"a": "\xff"}', {}, {"status": "odd"}],
)
def test_nonsense_is_the_providers_failure(name: str, body: Any) -> None:
    wire, target = spoken(name)
    with pytest.raises(ProviderError):
        wire.state(said(body), target)
    with pytest.raises(ProviderError):
        wire.parse(said(body), target)


def test_an_operation_that_is_done_without_a_video_has_failed() -> None:
    """Google charges for no video that it has blocked."""
    wire, target = spoken("google")
    responses: list[Any] = [None, {}, {"generateVideoResponse": {"generatedSamples": [{"video": {}}]}}]
    for response in responses:
        found = wire.state(said({**OPERATION, "done": True, "response": response}), target)
        assert found == VideoState("failed", message="It was finished without a video.", code="done")


@pytest.mark.parametrize(
    ("name", "source", "is_keyed"),
    [
        ("google", "https://generativelanguage.googleapis.com/v1beta/files/a:download?alt=media", True),
        ("google", "https://generativelanguage.googleapis.com.evil.example/v1beta/files/a", False),
        ("google", "https://storage.googleapis.com/a", False),
        ("xai", "https://api.x.ai/v1/a.mp4", False),
        ("runway", "https://api.dev.runwayml.com/a.mp4", False),
    ],
)
def test_the_key_goes_to_googles_own_address_only(name: str, source: str, is_keyed: bool) -> None:
    wire, target = spoken(name)
    assert (wire.download(source, target) is not None) is is_keyed


def test_only_runways_can_be_stopped() -> None:
    found = {name: wire.cancel("t-1", target) for name in MAKERS for wire, target in [spoken(name)]}
    assert {name for name, request in found.items() if request is not None} == {"runway"}
    stopped = found["runway"]
    assert stopped is not None
    assert (stopped.method, stopped.url) == ("DELETE", "https://api.dev.runwayml.com/v1/tasks/t-1")


@pytest.mark.parametrize(
    ("name", "status", "body", "failure", "part"),
    [
        (
            "google",
            400,
            {"error": {"code": 400, "message": "too long", "status": "INVALID_ARGUMENT"}},
            ProviderRejected,
            "too long",
        ),
        ("xai", 400, {"code": "invalid-argument", "error": "no such pose"}, ProviderRejected, "no such pose"),
        (
            "xai",
            400,
            {"code": "invalid-argument", "error": "Incorrect API key provided: xa***. Get one at secret host."},
            ProviderError,
            "credentials",
        ),
        ("xai", 422, b"missing field `prompt`", ProviderRejected, ""),
        (
            "runway",
            400,
            {"error": "Validation failed", "issues": [{"message": "Too long"}]},
            ProviderRejected,
            "Too long",
        ),
        ("runway", 400, b"<html>", ProviderRejected, ""),
        ("runway", 429, {"error": "slow down"}, ProviderRateLimited, ""),
        ("runway", 401, {"error": "Unauthorized key_123456789"}, ProviderError, "credentials"),
        ("xai", 500, {"error": "secret host"}, ProviderError, "status 500"),
    ],
)
def test_failures(name: str, status: int, body: Any, failure: type[ProviderFailure], part: str) -> None:
    wire, target = spoken(name)
    found = wire.fail(said(body, status), target)
    assert (type(found), part in found.message) == (failure, True)
    assert "secret" not in found.message
