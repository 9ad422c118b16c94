"""Recorded images: calls render as recorded, answers mean what they say, errors are understood.

As `test_recordings.py`; the recordings of one API are few, so what is expected of each is read here.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.http import HttpResponse
from gateway.model.images import ImagesCall
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRejected
from gateway.model.usage import TokenUsage
from gateway.providers.contract import ImagesWire, Target
from gateway.providers.lookup import provider_named
from tests.providers import replay
from tests.providers.inverse.expected import Differs
from tests.providers.places import PLACES
from tests.providers.recorded import Recorded, ids, recorded

Members = dict[str, Any]

OURS = {"gemini": "google", "openai": "openai", "openrouter": "openrouter", "vertex": "vertex", "xai": "xai"}
NOT_OURS = {
    "openai-images-6c238da7114d": "an image that is to be changed",
    "openai-images-78d298a862f8": "an image that is to be changed",
    "openrouter-images-0b911d8705f3": "an image that is to be changed",
    "xai-images-b128bd0a4eb8": "an image that is to be changed",
    "gemini-image_output-8d95a17b76ae": "a story with pictures, which is a chat",
    "gemini-image_output-e3d73ee12fe1": "a stream, which is a chat",
    "vertex-image_output-2252487907c6": "a stream, which is a chat",
    "vertex-image_output-a2409a03908a": "words are asked for too, which is a chat",
    "vertex-images-fa371a7b2a08": "the request was not recorded",
    "openai-images-7bf746db5449": "a model of which OpenAI no longer takes anything",
}
"""Only read: the request is another API's."""
STREAMS = {"gemini-image_output-e3d73ee12fe1", "vertex-image_output-2252487907c6"}
DIFFERS = {
    "gemini-image_output-2c3018c0ef5c": Differs(
        {"/safetySettings": "null", "/systemInstruction": "null", "/toolConfig": "null"}
    ),
    "xai-images-5c2415cb0d10": Differs({"/n": "said", "/response_format": "bytes are asked for"}),
    "xai-images-27564dcd667d": Differs({"/n": "said"}),
    "openai-images-8ee7dfc9a48b": Differs({"/n": "said"}),
}
FAILURES: dict[str, tuple[type[ProviderFailure], str | None]] = {
    "openai-errors-3f93c5f6b626": (ProviderError, "invalid_api_key"),
    "openai-errors-93f4e7e886d3": (ProviderRejected, "unknown_parameter"),
    "vertex-images-fa371a7b2a08": (ProviderError, None),
}


PLAN = recorded(lambda row: row["api"] == "images" or ("/image_output/" in row["file"] and row["id"] not in STREAMS))
if not PLAN:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)
ASKED = [one for one in PLAN if one.id not in NOT_OURS]
ANSWERED = [one for one in PLAN if one.id not in FAILURES]
FAILED = [one for one in PLAN if one.id in FAILURES]


def wire_and_target(recording: Members) -> tuple[ImagesWire, Target]:
    name = OURS[recording["provider"]]
    provider = provider_named(name)
    url = recording["request"]["url"] if recording["request"] else ""
    api = "generate_content" if ":generateContent" in url else "imagen" if name == "vertex" else "images"
    facts = ModelFacts(id=recording["model"] or "imagen", name="", api=api)
    base_url, settings = PLACES[name](url) if name in PLACES and "/projects/" in url else (provider.base_url or "", {})
    return provider.images[api], Target(name, facts, base_url, settings)


def call_from(recording: Members) -> ImagesCall:
    """The call that somebody who asks the gateway for the same would make, as it is when it was checked."""
    body = recording["request"]["body"]
    call: Members = {"model": recording["model"]}
    if "contents" in body:
        call["prompt"] = body["contents"][0]["parts"][0]["text"]
        call["size"] = body["generationConfig"]["imageConfig"]["aspectRatio"]
    else:
        names = ("prompt", "n", "size", "quality", "output_format", "output_compression", "background", "moderation")
        call |= {name: body[name] for name in names if name in body}
    if "aspect_ratio" in body:
        call["size"] = f"{body['aspect_ratio']}@{body['resolution']}"
    return msgspec.convert(call, ImagesCall)


@pytest.mark.parametrize("one", ASKED, ids=ids(ASKED))
def test_request_renders_as_recorded(one: Recorded) -> None:
    recording = one.load()
    wire, target = wire_and_target(recording)
    request = wire.render(call_from(recording), target)
    assert request.method == recording["request"]["method"]
    assert replay.same_path(recording["request"]["url"], request), request.url
    found = replay.differences(recording["request"]["body"], msgspec.json.decode(request.body))
    assert sorted(found) == sorted(DIFFERS.get(one.id, Differs()).pointers)


def images_in(body: Members) -> list[bytes | str]:
    """Wherever the provider puts them: bytes, or where they are."""
    if "data" in body:
        return [b64decode(item["b64_json"]) if "b64_json" in item else item["url"] for item in body["data"]]
    parts = [part for one in body["candidates"] for part in one["content"]["parts"]]
    return [b64decode(part["inlineData"]["data"]) for part in parts if "inlineData" in part]


def tokens_in(body: Members) -> tuple[int, int, int] | None:
    """Of the prompt, of the answer, and those of the answer that are an image."""
    if figures := body.get("usageMetadata"):
        (images,) = figures["candidatesTokensDetails"]
        made = figures["candidatesTokenCount"] + figures.get("thoughtsTokenCount", 0)
        return figures["promptTokenCount"], made, images["tokenCount"]
    usage = body.get("usage", {})
    if "prompt_tokens" in usage:
        made = usage["completion_tokens"]
        return usage["prompt_tokens"], made, usage["completion_tokens_details"]["image_tokens"]
    if "input_tokens" in usage:
        return usage["input_tokens"], usage["output_tokens"], usage["output_tokens_details"]["image_tokens"]
    return None


def stated_in(usage: Members) -> int | None:
    if "cost_in_usd_ticks" in usage:
        return int(usage["cost_in_usd_ticks"]) // 10
    return round(usage["cost"] * 10**9) if "cost" in usage else None


@pytest.mark.parametrize("one", ANSWERED, ids=ids(ANSWERED))
def test_answer_means_what_it_says(one: Recorded) -> None:
    recording = one.load()
    wire, target = wire_and_target(recording)
    answer = recording["response"]
    made = wire.parse(HttpResponse(answer["status"], answer["headers"], replay.raw_body(answer)), target)
    assert [image.url or image.data for image in made.images] == images_in(answer["body"])
    usage = made.usage or TokenUsage()
    found = (usage.prompt_tokens, usage.completion_tokens, usage.completion.image_tokens)
    assert found == (tokens_in(answer["body"]) or (0, 0, 0))
    assert usage.stated_cost_nano_usd == stated_in(answer["body"].get("usage", {}))
    said = [item.get("revised_prompt") for item in answer["body"].get("data", [{}] * len(made.images))]
    assert [image.revised_prompt for image in made.images] == said
    assert made.withheld is None


@pytest.mark.parametrize("one", FAILED, ids=ids(FAILED))
def test_failures(one: Recorded) -> None:
    """Of an answer that is 2xx, what reading it raises."""
    recording = one.load()
    wire, target = wire_and_target(recording)
    answer = recording["response"]
    response = HttpResponse(answer["status"], answer["headers"], replay.raw_body(answer))
    if answer["status"] < 300:
        with pytest.raises(ProviderFailure) as raised:
            wire.parse(response, target)
        failure = raised.value
    else:
        failure = wire.fail(response, target)
    assert (type(failure), failure.provider_code) == FAILURES[one.id]


def test_every_recording_takes_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert {one.id for one in ANSWERED} | {one.id for one in FAILED} == {one.id for one in PLAN}
    assert {one.provider for one in PLAN} <= set(OURS)
    with capsys.disabled():
        print(f"\nimages: {len(ASKED)} requests, {len(PLAN)} answers")  # noqa: T201  # the figure this suite is for
        for recording_id, reason in sorted(NOT_OURS.items()):
            print(f"  answer only {recording_id}: {reason}")  # noqa: T201  # same
