"""Recorded videos: orders render as recorded, and answers mean what they say."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.http import HttpResponse
from gateway.model.video import VideoOrder, VideoState
from gateway.providers.contract import Target, VideoWire
from gateway.providers.lookup import provider_named
from tests.providers import replay

Members = dict[str, Any]
DONE_AT = "https://vidgen.x.ai/xai-vidgen-bucket/xai-video-c84748c1-5ec7-9c62-b013-dc6e71a83de7.mp4"
FILE = "https://generativelanguage.googleapis.com/v1beta/files/zqw12cp8qc38:download?alt=media"
STATES = {
    "xai-video-d1a49037a447": VideoState("running", 1),
    "xai-video-db04ed40e914": VideoState("completed", 100, DONE_AT, 1, stated_cost_nano_usd=50_000_000),
    "gemini-video-7f24833ad855": VideoState("running"),
    "gemini-video-2378655526b8": VideoState("completed", 100, FILE),
}
BEGUN = {
    "xai-video-67807c2271bd": "c84748c1-5ec7-9c62-b013-dc6e71a83de7",
    "gemini-video-71af5413b07f": "models/veo-3.1-lite-generate-preview/operations/umz7sqimep69",
}
ALWAYS_SAID = {"gemini-video-71af5413b07f": {"/parameters/resolution", "/parameters/aspectRatio"}}
ALWAYS_SAID["xai-video-67807c2271bd"] = {"/aspect_ratio"}
"""A size is always said, for the price depends on it; the client that was recorded left it to the provider."""


def _plan() -> dict[str, Path]:
    index = replay.ROOT / "INDEX.tsv"
    if not index.is_file():
        return {}
    with index.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["api"] == "video"]
    return {row["id"]: replay.ROOT / row["file"] for row in rows}


PLAN = _plan()
if not PLAN:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)


def load(recording_id: str) -> tuple[Members, VideoWire, Target]:
    recording: Members = json.loads(PLAN[recording_id].read_text())
    provider = provider_named(replay.OURS[recording["provider"]])
    facts = ModelFacts(id=recording["model"] or "", name="", api="videos")
    return recording, provider.videos["videos"], Target(provider.name, facts, provider.base_url or "")


def answer(recording: Members) -> HttpResponse:
    said = recording["response"]
    return HttpResponse(said["status"], said["headers"], replay.raw_body(said))


@pytest.mark.parametrize("recording_id", BEGUN)
def test_an_order_renders_as_recorded(recording_id: str) -> None:
    recording, wire, target = load(recording_id)
    body = recording["request"]["body"]
    prompt = body.get("prompt") or body["instances"][0]["prompt"]
    seconds = body.get("duration") or body["parameters"]["durationSeconds"]
    request = wire.render(VideoOrder(prompt, seconds, "848x480", body.get("resolution", "720p"), "16:9"), target)
    assert (request.method, request.url) == ("POST", recording["request"]["url"])
    found = replay.differences(body, msgspec.json.decode(request.body))
    assert set(found) == ALWAYS_SAID[recording_id]


@pytest.mark.parametrize("recording_id", BEGUN)
def test_what_is_begun_has_a_name(recording_id: str) -> None:
    recording, wire, target = load(recording_id)
    assert wire.parse(answer(recording), target) == BEGUN[recording_id]


@pytest.mark.parametrize("recording_id", STATES)
def test_a_look_asks_as_recorded_and_understands(recording_id: str) -> None:
    recording, wire, target = load(recording_id)
    begun = next(one for one in BEGUN if one[:3] == recording_id[:3])
    asked = wire.look(BEGUN[begun], target)
    assert (asked.method, asked.url) == ("GET", recording["request"]["url"])
    assert wire.state(answer(recording), target) == STATES[recording_id]


def test_the_recorded_bill_is_the_catalogs_price() -> None:
    """xAI counts in ten-billionths of a USD: https://docs.x.ai/developers/cost-tracking"""
    recording, _, _ = load("xai-video-db04ed40e914")
    ticks = recording["response"]["body"]["usage"]["cost_in_usd_ticks"]
    catalog = Path(__file__).parents[2] / "shared" / "catalog" / "xai.json"
    rows = json.loads(catalog.read_bytes())["models"]
    (row,) = [row for row in rows if row["id"] == "grok-imagine-video"]
    (price,) = [price for price in row["unit_prices"] if price.get("variant") == "480p"]
    assert price["pico_usd"] * 1000 // price["per"] == ticks * 100


def test_every_recording_takes_part() -> None:
    assert {*BEGUN, *STATES} == set(PLAN)
