"""Orders of videos: what is refused, as JSON or a form, by hooks or limits, and providers that do not begin."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.model.file import File
from gateway.model.hook import Hook
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.provider_errors import ProviderError
from tests.fakes import ScriptedHooks
from tests.unit.videos_gateway import DONE, PNG, UNREACHED, Gateway, Whole, form, gateway, said

__all__ = ["gateway"]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"prompt": ""}, 400, "validation_error", "prompt"),
        ({"prompt": None}, 400, "validation_error", "prompt"),
        ({"model": 1}, 400, "validation_error", "model"),
        ({"model": "xai/none"}, 404, "model_not_found", "model"),
        ({"model": "xai/chat"}, 400, "capability_not_supported", "model"),
        ({"model": "xai/odd"}, 400, "capability_not_supported", "model"),
        ({"seconds": "0"}, 400, "validation_error", "seconds"),
        ({"seconds": "4.5"}, 400, "validation_error", "seconds"),
        ({"seconds": 5}, 400, "validation_error", "seconds"),
        ({"seconds": "4", "size": "1920x1080"}, 400, "validation_error", "seconds"),
        ({"size": "1792x1024"}, 400, "validation_error", "size"),
        ({"size": "big"}, 400, "validation_error", "size"),
        ({"style": "anime"}, 400, "validation_error", "style"),
        ({"metadata": {"conversation_id": "ä"}}, 400, "validation_error", "metadata.conversation_id"),
        ({"fallback": {"models": ["a"]}}, 404, "model_not_found", "fallback.models[0]"),
        ({"input_reference": {}}, 400, "validation_error", "input_reference"),
        ({"input_reference": {"file_id": "a", "image_url": "b"}}, 400, "validation_error", "input_reference"),
        ({"input_reference": {"file_id": "file_1"}}, 422, "media_not_found", "input_reference"),
        ({"input_reference": {"image_url": "https://gone.example"}}, 422, "media_not_found", "input_reference"),
        ({"input_reference": {"image_url": "data:image/png,x"}}, 400, "validation_error", "input_reference"),
        ({"input_reference": {"image_url": "data:image/png;base64,%%"}}, 400, "validation_error", "input_reference"),
        ({"input_reference": {"image_url": "data:image/png;base64,ü"}}, 400, "validation_error", "input_reference"),
        (
            {"input_reference": {"image_url": "data:image/png;base64,aGVsbG8="}},
            400,
            "validation_error",
            "input_reference",
        ),
        (
            {"model": "xai/mute", "input_reference": {"file_id": "x"}},
            400,
            "capability_not_supported",
            "input_reference",
        ),
        ({"model": "runway/needy"}, 400, "validation_error", "input_reference"),
        (
            {"provider_options": {"xai": {"duration": 15}}},
            400,
            "capability_not_supported",
            "provider_options.xai.duration",
        ),
        (
            {"provider_options": {"xai": {"reference_images": [{"url": "https://a.example/1.png"}]}}},
            400,
            "capability_not_supported",
            "provider_options.xai.reference_images",
        ),
    ],
)
async def test_bad_input_is_named_and_costs_nothing(
    gateway: Gateway, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    answer = await gateway.create(**body)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (status, code, param), error
    assert gateway.provider.sent == []
    assert sum(record.cost_nano_usd or 0 for record in gateway.usage) == 0
    assert await gateway.held() == (0, 0, 0)


async def test_bodies_that_are_none(gateway: Gateway) -> None:
    refused = [
        (b"{", "application/json", 400),
        (b"x", "text/plain", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=b", 400),
        (form({"prompt": "a"}, other=PNG), "multipart/form-data; boundary=b", 400),
        (form({"prompt": "a", "prompt[x]": "b"}), "multipart/form-data; boundary=b", 400),
        (form({f"f{number}": "a" for number in range(70)}), "multipart/form-data; boundary=b", 400),
        (form({"prompt": "a"}), "multipart/form-data; boundary=b", 400),
    ]
    for body, content_type, status in refused:
        answer = await gateway.post(body, content_type)
        assert (answer.status, "error" in answer.json) == (status, True), answer.json
    assert gateway.jobs.held == {}


async def test_a_form_says_the_same_as_json(gateway: Gateway) -> None:
    fields = {"model": "xai/film", "prompt": "wäves", "seconds": "8", "size": "1920x1080"}
    fields |= {"metadata[conversation_id]": "c-1"}
    answer = await gateway.post(form(fields, input_reference=PNG), "multipart/form-data; boundary=b")
    assert answer.status == 200, answer.json
    assert (answer.json["seconds"], answer.json["size"]) == ("8", "1920x1080")
    body = json.loads(gateway.provider.sent[0].body)
    assert (body["prompt"], body["duration"], body["resolution"]) == ("wäves", 8, "1080p")
    assert body["image"]["url"].startswith("data:image/png;base64,iVBOR")


async def test_a_picture_may_be_a_file_of_the_tenant_and_is_paid_for(gateway: Gateway) -> None:
    file = File("file_" + "0" * 9 + "v" + "0" * 16, "a.png", "image/png", len(PNG))
    await gateway.files.put("acme", file, PNG)
    gateway.clock.unix_s = 0.0  # files of that id are old
    answer = await gateway.create(input_reference={"file_id": file.id})
    assert answer.status == 200, answer.json
    assert await gateway.held() == (1, 282_000_000, 0)


async def test_a_model_that_has_no_length_of_its_own_for_a_size_takes_the_sizes(gateway: Gateway) -> None:
    assert (await gateway.create(size="1920x1080")).json["seconds"] == "8"


async def test_a_budget_that_does_not_cover_it_refuses_it(gateway: Gateway) -> None:
    gateway.allow(allowance=Allowance(budgets=(Budget(models="*", window="month", usd=Decimal("0.279999999")),)))
    answer = await gateway.create()
    assert (answer.status, answer.json["error"]["code"]) == (402, "budget_exceeded")
    assert gateway.provider.sent == []
    unpriced = await gateway.create(model="xai/free")
    assert (unpriced.status, unpriced.json["error"]["code"]) == (400, "price_unknown")


async def test_videos_that_are_made_count_as_jobs(gateway: Gateway) -> None:
    gateway.allow(allowance=Allowance(limits=(Limits(models="*", concurrent_jobs=1),)))
    video_id = await gateway.begun()
    assert (await gateway.create()).status == 429
    await gateway.finished(video_id)
    gateway.provider.looks = [DONE]
    assert (await gateway.create()).status == 200


@pytest.mark.parametrize(
    ("answer", "status", "code", "cost"),
    [
        (said(400, code="invalid-argument", error="no such pose"), 400, "validation_error", 0),
        (said(404), 404, "model_not_found", 0),
        (said(429), 429, "rate_limited", 0),
        (said(503), 502, "provider_error", 0),
        (Whole(200, b"<html>"), 502, "provider_error", 280_000_000),
        (UNREACHED, 502, "provider_error", 0),
        (ProviderError("The connection to the provider failed."), 502, "provider_error", 280_000_000),
        (TimeoutError(), 504, "provider_timeout", 280_000_000),
    ],
)
async def test_a_provider_that_does_not_begin(
    gateway: Gateway, answer: Whole | Exception, status: int, code: str, cost: int
) -> None:
    gateway.provider.begins = answer
    refused = await gateway.create()
    assert (refused.status, refused.json["error"]["code"]) == (status, code)
    assert await gateway.held() == (0, cost, cost)
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("error", cost)]
    assert gateway.audit[0] == "request.started"
    assert len(gateway.audit) == 2
    (listed,) = (await gateway.get("")).json["data"]
    assert (listed["status"], listed["error"]["code"]) == ("failed", code)


def hook(**settings: Any) -> Hook:
    made: Hook = msgspec.convert({"kind": "lambda", "id": "lambda", "function": "gateway-hook-x", **settings}, Hook)
    return made


async def test_hooks_are_asked_about_the_prompt_and_may_change_or_block_it(gateway: Gateway) -> None:
    gateway.allow(hooks=(hook(),))
    assert isinstance(gateway.world.hooks, ScriptedHooks)
    gateway.world.hooks.answers["lambda"] = {"action": "modify", "patch": {"prompt": "calm waves", "seconds": 8}}
    picture = {"image_url": "data:image/png;base64," + base64.b64encode(PNG).decode()}
    changed = await gateway.create(input_reference=picture)
    assert (changed.status, changed.json["seconds"]) == (200, "8"), changed.json
    body = json.loads(gateway.provider.sent[0].body)
    assert (body["prompt"], body["duration"], body["image"]["url"]) == ("calm waves", 8, picture["image_url"])
    assert await gateway.held() == (1, 562_000_000, 0)
    asked = gateway.world.hooks.asked[0]
    assert b"iVBOR" not in msgspec.json.encode(asked)

    gateway.world.hooks.answers["lambda"] = {"action": "block", "reason": "no waves"}
    blocked = await gateway.create()
    assert (blocked.status, blocked.json["error"]["code"]) == (403, "request_blocked")
    assert len(gateway.provider.sent) == 1
    assert await gateway.held() == (1, 562_000_000, 0)


@pytest.mark.parametrize("patch", [{"model": "xai/mute"}, {"size": "1x1"}, {"prompt": ""}, {"input_reference": None}])
async def test_what_a_hook_may_not_change(gateway: Gateway, patch: dict[str, Any]) -> None:
    gateway.allow(hooks=(hook(),))
    assert isinstance(gateway.world.hooks, ScriptedHooks)
    gateway.world.hooks.answers["lambda"] = {"action": "modify", "patch": patch}
    assert (await gateway.create()).status in (400, 503)
    assert (gateway.provider.sent, await gateway.held()) == ([], (0, 0, 0))
