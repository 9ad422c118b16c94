"""Falling back, and models that work in the background: they do so in their turn, and others answer when they fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.http import HttpRequest
from tests.fakes import MemoryCatalog
from tests.unit.several_providers import model
from tests.unit.test_background import CHAT, COST, DONE, FACTS, WORKING, Gateway, response
from tests.unit.test_background import gateway as in_memory

gateway = in_memory
TOOLS: list[Any] = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]
OTHERS: dict[str, Any] = {"fallbacks": ["openai/plain", "groq/llama"]}


@pytest.fixture(autouse=True)
def models(gateway: Gateway) -> None:
    """`openai/plain` calls no tools, `groq/llama` is not approved."""
    deep, plain = replace(FACTS, capabilities=("streaming", "tools")), model("plain", capabilities=("streaming",))
    catalog = MemoryCatalog({"openai": {"deep": deep, "plain": plain}, "groq": {"llama": model("llama")}})
    gateway.world = replace(gateway.world, catalog=catalog)
    gateway.allow(approvals=("openai/*",))


LEFT_OUT = [("openai/plain", "capability_not_supported"), ("groq/llama", "model_not_approved")]


def left_out(completion: Any) -> list[tuple[str, str]]:
    return [(one["model"], one["code"]) for one in completion["gateway"]["left_out"]]


async def test_it_works_in_the_background_where_all_others_are_left_out(gateway: Gateway) -> None:
    answer = await gateway.post(**CHAT, **OTHERS, tools=TOOLS)
    assert (answer.status, left_out(answer.json)) == (200, LEFT_OUT)
    assert answer.json["gateway"]["fallback_used"] is False
    assert json.loads(gateway.remote.sent[0].body)["background"] is True
    assert gateway.is_settled(COST)


async def test_who_was_left_out_is_told_with_a_late_reply_as_well(gateway: Gateway) -> None:
    job_id = await gateway.handed_over(**OTHERS, tools=TOOLS)
    gateway.allow(approvals=("*",))
    gateway.remote.looks = [DONE]
    shown = await gateway.finished(job_id)
    assert left_out(shown["result"]["body"]) == LEFT_OUT
    assert gateway.is_settled(COST)


FAILS = (500, {"error": {"message": "no"}})
FIGURES = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "plain",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "plain"}, "finish_reason": "stop"}],
    "usage": FIGURES,
}
PLAIN: dict[str, Any] = {"fallbacks": ["openai/plain"]}


def says(gateway: Gateway, **by_model: Any) -> list[str]:
    """To whoever asks it for something; who was asked, in order."""
    asked: list[str] = []

    async def before(request: HttpRequest) -> None:
        if request.method == "POST":
            asked.append(json.loads(request.body)["model"])
            gateway.remote.begins = by_model[asked[-1]]

    gateway.remote.before = before
    return asked


def attempts(completion: Any) -> list[tuple[str, Any]]:
    return [(one["model"], one["code"]) for one in completion["gateway"]["attempts"]]


def costs(gateway: Gateway) -> list[int]:
    """Of each attempt that was told, in nano-USD."""
    return [cost or 0 for cost in gateway.costs.values()]


DEEP_FAILED = [("openai/deep", "provider_error"), ("openai/plain", None)]


async def test_where_it_cannot_be_begun_another_answers_at_once(gateway: Gateway) -> None:
    asked = says(gateway, deep=FAILS, plain=ANSWER)
    completion = (await gateway.post(**CHAT, **PLAIN)).json
    assert (asked, completion["choices"][0]["message"]["content"]) == (["deep", "plain"], "plain")
    assert (attempts(completion), completion["gateway"]["fallback_used"]) == (DEEP_FAILED, True)
    assert (gateway.holds, gateway.payloads, costs(gateway)) == (0, {}, [0, COST])
    assert list(gateway.ends.values()) == ["request.completed"]
    assert (await gateway.send("GET", "/v1/jobs")).json["data"] == []


async def test_where_it_fails_while_somebody_waits_another_answers(gateway: Gateway) -> None:
    asked = says(gateway, deep=response("queued"), plain=ANSWER)
    gateway.remote.looks = [WORKING, response("failed", error={"code": "server_error", "message": "no"})]
    completion = (await gateway.post(**CHAT, **PLAIN)).json
    assert (asked, attempts(completion)) == (["deep", "plain"], DEEP_FAILED)
    assert gateway.holds == 0
    assert completion["usage"]["cost_estimate"] == sum(costs(gateway)) / 1_000_000_000
    assert gateway.only.cost_nano_usd == sum(costs(gateway))


async def test_it_is_the_one_that_others_fall_back_on(gateway: Gateway) -> None:
    """Its reply comes when nobody waits any more, and tells of all."""
    asked = says(gateway, plain=(200, "no answer"), deep=response("queued"))
    gateway.remote.looks = [WORKING]
    body = {**CHAT, "model": "openai/plain", "fallbacks": ["openai/deep"], "timeouts": {"total_ms": 6_000}}
    job = (await gateway.post(**body)).json
    assert (asked, job["status"], job["model"]) == (["plain", "deep"], "running", "openai/plain")
    gateway.remote.looks = [DONE]
    reply = (await gateway.finished(job["id"]))["result"]["body"]
    assert attempts(reply) == [("openai/plain", "provider_error"), ("openai/deep", None)]
    assert (reply["gateway"]["fallback_used"], reply["model"]) == (True, "openai/deep")
    assert reply["gateway"]["overhead_ms"] >= 0
    first, second = costs(gateway)
    assert (first > 0, second, gateway.only.cost_nano_usd) == (True, COST, first + second)
    events = [one for one in gateway.world.events.told if getattr(one, "event", "") == "fallback.triggered"]  # type: ignore[attr-defined]
    assert [one.facts["to"] for one in events] == ["openai/deep"]


async def test_a_worker_asks_another_in_its_place(gateway: Gateway) -> None:
    asked = says(gateway, deep=FAILS, plain=ANSWER)
    body: dict[str, Any] = {**CHAT, **PLAIN, "async": True}
    job_id = (await gateway.post(**body)).json["id"]
    reply = (await gateway.worked(job_id))["result"]["body"]
    assert (asked, attempts(reply)) == (["deep", "plain"], DEEP_FAILED)
    assert (gateway.holds, costs(gateway)) == (0, [0, COST])


async def test_what_fails_when_nobody_waits_any_more_has_failed(gateway: Gateway) -> None:
    asked = says(gateway, deep=response("queued"), plain=ANSWER)
    job_id = await gateway.handed_over(**PLAIN)
    gateway.remote.looks = [response("failed", error={"code": "server_error", "message": "no"})]
    assert (await gateway.finished(job_id))["error"]["code"] == "provider_error"
    assert asked == ["deep"]


async def test_in_a_race_it_is_asked_as_any_other(gateway: Gateway) -> None:
    gateway.remote.begins = DONE
    race = {"models": ["openai/plain"], "strategy": "parallel"}
    answer = await gateway.post(**CHAT, fallback=race)
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "Hello.")
    assert not any("background" in json.loads(one.body) for one in gateway.remote.sent)
    assert not gateway.world.jobs.held  # type: ignore[attr-defined]
