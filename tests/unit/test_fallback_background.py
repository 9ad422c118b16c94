"""Falling back, and models that work in the background: they do where no other may answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as with_members

from tests.fakes import MemoryCatalog
from tests.unit.several_providers import model
from tests.unit.test_background import CHAT, COST, DONE, FACTS, Gateway
from tests.unit.test_background import gateway as in_memory

gateway = in_memory
TOOLS: list[Any] = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]
OTHERS: dict[str, Any] = {"fallbacks": ["openai/plain", "groq/llama"]}


@pytest.fixture(autouse=True)
def models(gateway: Gateway) -> None:
    """`openai/plain` calls no tools, `groq/llama` is not approved."""
    deep, plain = with_members(FACTS, capabilities=("streaming", "tools")), model("plain", capabilities=("streaming",))
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


async def test_where_another_may_answer_it_is_asked_as_any_other(gateway: Gateway) -> None:
    gateway.remote.begins = DONE
    answer = await gateway.post(**CHAT, **OTHERS)
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "Hello.")
    assert "background" not in json.loads(gateway.remote.sent[0].body)
    assert not gateway.world.jobs.held  # type: ignore[attr-defined]
