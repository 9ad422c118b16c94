"""Recorded batches: what is asked renders as recorded, and states and results mean what they say."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.http import HttpRequest, HttpResponse
from gateway.providers.contract import BatchCounts, BatchState, BatchWire, Carrier, Target, batch_input
from gateway.providers.lookup import provider_named
from tests.providers import replay
from tests.providers.batched import API, Members, read
from tests.providers.recorded import Recorded, recorded

PLAN = recorded(lambda row: row["api"] == "batch")
if not PLAN:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)

NAME = attrgetter("id")
STATES = {
    "openai-batch-039602164e8b": BatchState("batch_6904670e9638819082caf7bd85838f00", "pending"),
    "openai-batch-05b14ab6c819": BatchState("batch_67838eb6aa648190bcf5678ec4670963", "pending"),
    "openai-batch-2e38fd31d3b2": BatchState("batch_6904670cc8ac819084a984ece3aba4c4", "pending"),
    "openai-batch-b21436fb6d8f": BatchState("batch_6780bb2f8f6c8190a6c0abfb8502bba6", "pending"),
    "openai-batch-e8b087f301c0": BatchState(
        *("batch_6a85c11599808190946fca3500c188e9", "completed", BatchCounts(2, 2), ("file-7DLNVnm7WMeyfALa1241zH",))
    ),
    "anthropic-batch-10121088d2d3": BatchState(
        "msgbatch_016z7nD8oj5sT4pMEcEnvJQQ", "running", BatchCounts(1), is_cancelling=True
    ),
    "anthropic-batch-46578270b57c": BatchState(
        "msgbatch_01D2sdL4qGoazrmSJSsrGMY4", "running", BatchCounts(2), is_cancelling=True
    ),
    "anthropic-batch-f914f81596d0": BatchState(
        "msgbatch_01AcJtwEXDB7Vb8s5DWt9Cb1", "running", BatchCounts(2), is_cancelling=True
    ),
    "anthropic-batch-e31d3741c0c0": BatchState("msgbatch_01LAsPWiFCZCMhpT6aFixxia", "running", BatchCounts(2)),
    "gemini-batch-2545388ad3ef": BatchState("batches/gpv3pjje0g931jdhnalwqk9sv4pbqgjlqhi9", "pending", BatchCounts(2)),
}
OURS = {"/metadata", "/output_expires_after"}
"""Of the creation at OpenAI, what is the gateway's own to say."""


def setting(one: Recorded) -> tuple[Members, BatchWire[Any, Any], Target]:
    recording = one.load()
    provider = provider_named(replay.OURS.get(one.provider, one.provider))
    api = API[provider.name]
    facts = ModelFacts(id=recording["model"] or "unknown", name="", api=api)
    return recording, provider.batches.chat[api], Target(provider.name, facts, provider.base_url or "")


def answer(recording: Members) -> HttpResponse:
    said = recording["response"]
    return HttpResponse(said["status"], said["headers"], replay.raw_body(said))


def those(*starts: str) -> list[Recorded]:
    return [one for one in PLAN if one.id in starts]


@pytest.mark.parametrize("one", those(*STATES), ids=NAME)
def test_a_state_means_what_it_says(one: Recorded) -> None:
    recording, wire, target = setting(one)
    assert wire.state(answer(recording), target) == STATES[one.id]


@pytest.mark.parametrize("one", [one for one in those(*STATES) if one.provider == "openai"], ids=NAME)
def test_openai_is_asked_as_recorded(one: Recorded) -> None:
    recording, wire, target = setting(one)
    asked = recording["request"]
    if asked["method"] == "GET":
        request = wire.look(STATES[one.id].remote_id, target)
        assert (request.method, request.url) == ("GET", asked["url"])
        return
    created = wire.create(asked["body"]["input_file_id"], "label", target)
    assert isinstance(created, HttpRequest)
    assert (created.method, created.url) == ("POST", asked["url"])
    assert set(replay.differences(asked["body"], msgspec.json.decode(created.body))) <= OURS | {"/metadata/label"} | {
        f"/metadata/{name}" for name in asked["body"]["metadata"]
    }


@pytest.mark.parametrize("one", [one for one in those(*STATES) if "/cancel" in one.load()["request"]["url"]], ids=NAME)
def test_anthropic_is_told_to_stop_as_recorded(one: Recorded) -> None:
    recording, wire, target = setting(one)
    request = wire.cancel(STATES[one.id].remote_id, target)
    assert (request.method, request.url) == ("POST", recording["request"]["url"])


def calls(recording: Members, api: str, bodies: list[Members]) -> list[Any]:
    module = replay.inverse(api)
    assert module is not None
    return [
        module.call_from({**recording, "api": api, "request": {**recording["request"], "body": body}})
        for body in bodies
    ]


def test_anthropics_input_renders_as_recorded() -> None:
    (one,) = those("anthropic-batch-e31d3741c0c0")
    recording, wire, target = setting(one)
    asked = recording["request"]
    created = wire.create(None, "label", target)
    assert isinstance(created, Carrier)
    assert (created.request.method, created.request.url) == ("POST", asked["url"])
    params = [request["params"] for request in asked["body"]["requests"]]
    as_one = {**recording, "api": "messages", "model": params[0]["model"], "request": {**asked, "body": params[0]}}
    target = replay.target_for(as_one)
    made = (wire.piece(str(place), call, target) for place, call in enumerate(calls(recording, "messages", params)))
    assert json.loads(b"".join(batch_input(made, wire.frame))) == asked["body"]


def test_googles_items_render_as_recorded() -> None:
    """There they stand in the request itself, without a name; the gateway sends a file."""
    (one,) = those("gemini-batch-2545388ad3ef")
    recording, wire, target = setting(one)
    asked = [item["request"] for item in recording["request"]["body"]["batch"]["inputConfig"]["requests"]["requests"]]
    made = [wire.piece("i", call, target) for call in calls(recording, "generate_content", asked)]
    for item, piece in zip(asked, made, strict=True):
        assert json.loads(piece)["request"] == {name: value for name, value in item.items() if value}
    created = wire.create("files/f", "label", target)
    assert isinstance(created, HttpRequest)
    assert created.url == recording["request"]["url"]


RESULTS = {
    "anthropic-batch-248892656e79": {"0": (11, 273), "1": (10, 259), "2": (10, 313)},
    "anthropic-batch-1d751bf26216": None,
}


@pytest.mark.parametrize("one", those(*RESULTS), ids=NAME)
@pytest.mark.parametrize("size", [1, 1_000, 10_000_000])
def test_recorded_results(one: Recorded, size: int) -> None:
    recording, wire, target = setting(one)
    data = recording["response"]["ndjson"].encode()
    request = wire.results(recording["request"]["url"].split("/")[-2], target)
    assert (request.method, request.url) == ("GET", recording["request"]["url"])
    said = {line["custom_id"]: line["result"]["message"] for line in map(json.loads, data.splitlines())}
    found = {result.item_id: result for result in read(wire, target, data, size)}
    assert found.keys() == said.keys()
    for name, message in said.items():
        texts = [block["text"] for block in message["content"] if block["type"] == "text"]
        reply, used = found[name].reply, message["usage"]
        assert reply is not None
        assert reply.choices[0].message.content == "".join(texts)
        assert reply.usage.prompt_tokens == used["input_tokens"]
        assert reply.usage.completion_tokens == used["output_tokens"]
    if expected := RESULTS[one.id]:
        usages = {name: one.usage for name, one in found.items() if one.usage}
        assert {name: (used.prompt_tokens, used.completion_tokens) for name, used in usages.items()} == expected


def test_every_recording_takes_part() -> None:
    assert {one.id for one in PLAN} == {*STATES, *RESULTS}
