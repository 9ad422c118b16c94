"""Models that are all asked at once: the first that answers counts, the others are broken off and paid."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.entry.job_task import JobTask
from gateway.entry.runtime.client import Invocation
from gateway.model.hook import SizeHook
from gateway.model.provider_errors import ProviderError
from tests.fakes import MemoryCatalog
from tests.unit.several_providers import (
    END,
    ROLE,
    Several,
    event,
    fails,
    model,
    says,
    several,
    stalls,
    streams,
    streams_text,
    texts,
)
from tests.unit.test_fallback import COST, HELLO

RACE = {**HELLO, "fallback": {"models": ["groq/llama", "mistral/large"], "strategy": "parallel"}}


@pytest.fixture
def gateway() -> Several:
    return several()


def after(asked: asyncio.Event, answer: Any) -> Any:
    """Once the others have been asked."""

    async def wait() -> Any:
        await asked.wait()
        return answer

    return wait


async def test_the_first_answer_counts_and_the_others_are_paid(gateway: Several) -> None:
    asked = asyncio.Event()
    gateway.provider("openai", stalls())
    gateway.provider("groq", after(asked, says("groq")))
    gateway.provider("mistral", stalls(asked))
    reply = (await gateway.chat(RACE)).json
    report = reply["gateway"]
    assert (reply["model"], report["model_used"], report["fallback_used"]) == ("groq/llama", "groq/llama", True)
    assert sorted(gateway.providers.asked) == ["groq", "mistral", "openai"]
    assert gateway.providers.still_open == 0
    shown = [(one["provider"], one["status"], one["code"]) for one in report["attempts"]]
    assert shown == [("openai", "cancelled", None), ("mistral", "cancelled", None), ("groq", "ok", None)]
    records = {one.provider: one for one in gateway.usage}
    assert [records[name].code for name in ("openai", "mistral", "groq")] == ["cancelled", "cancelled", None]
    costs = [one.cost_nano_usd or 0 for one in gateway.usage]
    assert all(costs)
    assert costs[-1] == COST["groq"]
    assert await gateway.spent("s2026-09") == await gateway.spent("c2026-09") == sum(costs)
    assert reply["usage"]["cost_estimate"] == sum(costs) / 1e9
    assert reply["usage"]["completion_tokens"] == 5
    [switch] = gateway.switches
    assert switch.facts == {"from": "openai/gpt", "to": "groq/llama", "code": "cancelled"}


def seen_by_the_winner(gateway: Several) -> list[int]:
    """What is held while all of them are asked."""
    held: list[int] = []

    async def look() -> Any:
        held.append(await gateway.spent("c2026-09"))
        return says("openai")

    gateway.provider("openai", look)
    gateway.provider("groq", stalls())
    gateway.provider("mistral", stalls())
    return held


async def test_all_of_them_are_held_for(gateway: Several) -> None:
    held = seen_by_the_winner(gateway)
    await gateway.chat({**HELLO, "fallbacks": []})
    await gateway.chat(RACE)
    assert held[1] - COST["openai"] == 6 * held[0]


async def test_a_failure_leaves_the_race_to_the_others(gateway: Several) -> None:
    gateway.provider("openai", fails(500))
    gateway.provider("groq", fails(429))
    gateway.provider("mistral", says("mistral"))
    report = (await gateway.chat(RACE)).json["gateway"]
    assert report["model_used"] == "mistral/large"
    assert [switch.facts["code"] for switch in gateway.switches] == ["provider_error"]
    assert report["overhead_ms"] >= 0


async def test_when_all_fail_that_of_the_model_that_was_asked_for_is_told(gateway: Several) -> None:
    gateway.provider("openai", fails(429))
    gateway.provider("groq", fails(500))
    gateway.provider("mistral", fails(401))
    answer = await gateway.chat(RACE)
    assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limited")
    assert gateway.switches == []
    assert (await gateway.world.ledger.read("T#acme#0")).holds == {}


async def test_the_first_content_of_a_stream_counts(gateway: Several) -> None:
    asked = asyncio.Event()
    gateway.provider("openai", streams(ROLE, asyncio.Event().wait))
    gateway.provider("groq", streams(ROLE, asked.wait, event({"content": "gr"}), event({"content": "oq"}), END))
    gateway.provider("mistral", stalls(asked))
    answer = await gateway.chat({**RACE, "stream": True})
    assert texts(answer.events) == "groq"
    last = answer.events[-2]["gateway"]
    assert [one["status"] for one in last["attempts"]] == ["cancelled", "cancelled", "ok"]
    assert gateway.providers.still_open == 0


async def test_no_other_takes_over_a_stream_that_has_begun(gateway: Several) -> None:
    gateway.provider("openai", streams(ROLE, event({"content": "Hi"}), ProviderError("cut")))
    gateway.provider("groq", stalls())
    gateway.provider("mistral", stalls())
    answer = await gateway.chat({**RACE, "stream": True})
    assert answer.events[-1]["error"]["code"] == "provider_error"
    assert gateway.providers.still_open == 0


async def test_hooks_see_the_reply_that_is_given_and_no_other(gateway: Several) -> None:
    gateway.tenant(hooks=(SizeHook(id="size", stages=("post_response",), max_reply_characters=1_000),))
    gateway.provider("openai", streams_text("open", "ai"))
    gateway.provider("groq", streams_text("gr", "oq"))
    gateway.provider("mistral", streams_text("mist", "ral"))
    answer = await gateway.chat({**RACE, "stream": True})
    last = answer.events[-2]["gateway"]
    assert texts(answer.events) == "openai"
    assert [run["id"] for run in last["hooks"]] == ["size"]


async def test_a_job_whose_models_have_become_dearer_is_held_for_anew(gateway: Several) -> None:
    """All that are asked at once, before they are."""
    held = seen_by_the_winner(gateway)
    job_id = (await gateway.chat({**RACE, "async": True})).json["id"]
    accepted = await gateway.spent("c2026-09")
    assert isinstance(gateway.world.catalog, MemoryCatalog)
    gateway.world.catalog.held["mistral"]["large"] = model("large", 8)
    step = {"step": "ask", "tenant_id": "acme", "job_id": job_id}
    await JobTask(gateway.world, 5.0).handle(step, Invocation("r-1", deadline_s=gateway.world.clock.now_s() + 900))
    assert held == [accepted * 12 // 6]
