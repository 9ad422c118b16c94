"""Hooks around images: what they are asked about, what they may change, and what a block costs."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest

from gateway.model.limits import Allowance, Budget
from local.simulators.pictures import picture
from tests.fakes import MemoryAccess, MemoryCatalog, MemoryFiles, ScriptedHooks, world_of
from tests.unit.test_by_chat import chat
from tests.unit.test_embeddings_function import Provider
from tests.unit.test_hooks import hook
from tests.unit.test_images_function import MODELS, Gateway, openai_says, painted

MAIL = "joe@example.org"


@pytest.fixture
def gateway() -> Gateway:
    access, provider = MemoryAccess(), Provider(openai_says)
    world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers by what it is asked
    made = Gateway(world, provider, access)
    made.allow()
    return made


def with_hooks(gateway: Gateway, *hooks: Any, **tenant: Any) -> ScriptedHooks:
    gateway.allow(hooks=hooks, **tenant)
    assert isinstance(gateway.world.hooks, ScriptedHooks)
    return gateway.world.hooks


def stored(gateway: Gateway) -> int:
    assert isinstance(gateway.world.files, MemoryFiles)
    return len(gateway.world.files.whole)


async def test_a_hook_is_asked_about_the_clients_own_request_and_the_facts_of_the_images(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(stages=["pre_call", "post_response"]))
    remote.answers["lambda"] = {"action": "allow"}
    answer = await gateway.paint(n=2, size="auto")
    assert answer.status == 200
    before, after = remote.questions
    assert before["request"] == {"model": "openai/painter", "prompt": "a cat", "n": 2, "size": "auto"}
    assert (before["operation"], before["stage"], after["stage"]) == ("images", "pre_call", "post_response")
    assert after["response"] == {
        "object": "list",
        "model": "openai/painter",
        "data": [{"content_type": "image/png", "size_bytes": len(painted("a cat", at))} for at in (0, 1)],
    }
    assert [run["stage"] for run in answer.json["gateway"]["hooks"]] == ["pre_call", "post_response"]


async def test_a_blocked_prompt_is_never_sent_and_free(gateway: Gateway) -> None:
    with_hooks(gateway, hook("deny_list", phrases=["a cat"]))
    answer = await gateway.paint()
    assert (answer.status, answer.json["error"]["code"]) == (403, "request_blocked")
    assert gateway.provider.sent == []
    assert [record.cost_nano_usd for record in gateway.usage] == [0]


async def test_what_is_masked_in_the_prompt_is_put_back_into_the_providers_own(gateway: Gateway) -> None:
    with_hooks(gateway, hook("mask_pii"))

    def say(body: Any) -> Any:
        image = {"b64_json": painted_text(body["prompt"]), "revised_prompt": f"In oil: {body['prompt']}"}
        return openai_says(body, data=[image])

    gateway.provider.say = say
    reply = (await gateway.paint(prompt=f"a card for {MAIL}")).json
    assert gateway.provider.bodies[0]["prompt"] == "a card for <EMAIL_1>"
    assert reply["data"][0]["revised_prompt"] == f"In oil: a card for {MAIL}"


def painted_text(prompt: str) -> str:
    return b64encode(painted(prompt)).decode()


async def test_what_a_hook_changes_is_checked_and_held_for_anew(gateway: Gateway) -> None:
    one_image = (8 + 64) * 5_000 + 1050 * 40_000
    budget = Budget(window="day", usd=Decimal(2 * one_image) / 10**9)
    remote = with_hooks(gateway, hook(), allowance=Allowance(budgets=(budget,)))
    remote.answers["lambda"] = {"action": "modify", "patch": {"prompt": "two cats", "n": 2}}
    assert (await gateway.paint()).status == 200
    assert gateway.provider.bodies == [{"model": "painter", "prompt": "two cats", "n": 2}]
    remote.answers["lambda"] = {"action": "modify", "patch": {"n": 3}}
    refused = await gateway.paint()
    assert (refused.status, refused.json["error"]["code"]) == (402, "budget_exceeded")
    remote.answers["lambda"] = {"action": "modify", "patch": {"size": "16:9"}}
    wrong = await gateway.paint()
    assert (wrong.status, wrong.json["error"]["param"]) == (400, "size")
    assert "hook of this tenant" in wrong.json["error"]["message"]
    assert len(gateway.provider.sent) == 1


@pytest.mark.parametrize("patch", [{"model": "openai/new"}, {"n": 11}, {"user": "eve"}, {"response_format": "url"}])
async def test_a_hook_changes_nothing_else(gateway: Gateway, patch: Any) -> None:
    with_hooks(gateway, hook()).answers["lambda"] = {"action": "modify", "patch": patch}
    answer = await gateway.paint()
    assert (answer.status, answer.json["error"]["code"]) == (503, "hook_unavailable")
    assert gateway.provider.sent == []


@pytest.mark.parametrize("by_chat", [False, True])
async def test_images_that_are_blocked_are_paid_and_kept_nowhere(gateway: Gateway, by_chat: bool) -> None:
    remote = with_hooks(gateway, hook(stages=["post_response"]))
    remote.answers["lambda"] = {"action": "block", "reason": "Not this one."}
    answer = await (chat(gateway) if by_chat else gateway.paint())
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (403, "response_blocked")
    assert error["usage"]["cost_estimate"] == (4 * 5_000 + 100 * 40_000) / 1e9
    assert stored(gateway) == 0
    assert [record.cost_nano_usd for record in gateway.usage] == [4 * 5_000 + 100 * 40_000]


async def test_a_chat_with_an_image_model_is_a_chat_to_hooks(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(stages=["pre_call", "post_response"]))
    remote.answers["lambda"] = {"action": "allow"}
    large = {"b64_json": b64encode(picture("x", 512, 512)).decode()}
    gateway.provider.say = lambda body: openai_says(body, data=[large])
    assert (await chat(gateway)).status == 200
    before, after = remote.questions
    assert (before["operation"], before["request"]["messages"][0]["content"]) == ("chat", "a cat")
    (image,) = after["response"]["choices"][0]["message"]["media"]
    assert image["content_type"] == "image/png"
    assert "iVBORw0" not in str(after)
