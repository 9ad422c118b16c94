"""Falling back beside everything else: jobs, hooks, structured output."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.entry.job_task import JobTask
from gateway.entry.runtime.client import Invocation
from gateway.health_ports import AllHealthy
from gateway.model.hook import DenyListHook, SizeHook
from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Limits
from gateway.model.provider_errors import ProviderError
from gateway.model.reliability import Health
from gateway.pipeline.job_cancel import cancel
from tests.unit.several_providers import (
    ROLE,
    Several,
    answers,
    event,
    fails,
    says,
    several,
    streams,
    streams_text,
    texts,
)
from tests.unit.test_fallback import COST, HELLO, ONE


@pytest.fixture
def gateway() -> Several:
    made = several()
    made.provider("openai", fails(500))
    made.provider("groq", says("groq"))
    return made


@pytest.mark.parametrize("failure", [fails(500), answers(200, b"{", ProviderError("cut"))])
async def test_a_job_asks_another_model_in_the_same_worker(gateway: Several, failure: Any) -> None:
    gateway.provider("openai", failure)
    job_id = (await gateway.chat({**ONE, "async": True})).json["id"]
    for step in ("ask", "settle"):
        assert (await done(gateway, step, job_id))["status"] == "completed"
    job = await gateway.world.jobs.get("acme", job_id)
    assert gateway.providers.asked == ["openai", "groq"]
    first, second = gateway.usage
    assert (second.cost_nano_usd, job.cost_nano_usd) == (COST["groq"], (first.cost_nano_usd or 0) + COST["groq"])
    assert [switch.facts["to"] for switch in gateway.switches] == ["groq/llama"]
    assert await gateway.spent("s2026-09") == await gateway.spent("c2026-09") == job.cost_nano_usd
    assert (await gateway.world.ledger.read("T#acme#0")).holds == {}


async def test_a_job_counts_among_jobs_under_the_rules_of_the_other_model_too(gateway: Several) -> None:
    gateway.tenant(allowance=Allowance(limits=(Limits(models="groq/*", concurrent_jobs=5, concurrent_requests=5),)))
    seen: dict[str, int] = {}

    async def seen_at_work() -> Any:
        seen.update(await running(gateway))
        return says("groq")

    gateway.provider("groq", seen_at_work)
    job_id = (await gateway.chat({**ONE, "async": True})).json["id"]
    for step in ("ask", "settle"):
        await done(gateway, step, job_id)
    rule = suffix("groq/*")
    assert {name: number for name, number in seen.items() if number} == {"j": 1, f"j{rule}": 1}
    assert not any((await running(gateway)).values())


@pytest.mark.parametrize("most", [0, 5])
async def test_a_job_is_held_for_under_the_rules_of_the_model_that_its_worker_finds_to_be_the_first(
    gateway: Several, most: int
) -> None:
    """The other one was well when it was ordered. Where there is no room under them the job is not refused for it."""
    gateway.tenant(allowance=Allowance(limits=(Limits(models="groq/*", concurrent_jobs=most),)))
    gateway.provider("openai", says("openai"))
    job_id = (await gateway.chat({**ONE, "async": True})).json["id"]

    class Reading(AllHealthy):
        def of(self, provider: str, _model: str) -> Health:
            return "unhealthy" if provider == "openai" else "healthy"

    gateway.world = replace(gateway.world, health=Reading())
    assert (await done(gateway, "ask", job_id))["status"] == "completed"
    assert gateway.providers.asked == (["groq"] if most else ["openai"])
    await done(gateway, "settle", job_id)
    assert not any((await running(gateway)).values())


@pytest.mark.parametrize("spent_s", [839, 841])
async def test_a_job_asks_no_other_model_when_its_workers_time_is_over(gateway: Several, spent_s: int) -> None:
    async def late() -> Any:
        await gateway.world.clock.sleep(spent_s)
        return fails(500)

    gateway.provider("openai", late)
    await done(gateway, "ask", (await gateway.chat({**ONE, "async": True})).json["id"])
    assert gateway.providers.asked == (["openai", "groq"] if spent_s < 840 else ["openai"])


async def test_a_job_that_is_cancelled_asks_no_other_model(gateway: Several) -> None:
    async def cut_when_cancelled() -> Any:
        await cancel(await gateway.world.jobs.get("acme", job_id), gateway.world)
        return answers(200, b"{", ProviderError("cut"))

    gateway.provider("openai", cut_when_cancelled)
    job_id = (await gateway.chat({**ONE, "async": True})).json["id"]
    for step in ("ask", "settle"):
        assert (await done(gateway, step, job_id))["status"] == "cancelled"
    assert gateway.providers.asked == ["openai"]
    first, second = gateway.usage
    assert first.cost_nano_usd and (second.model, second.cost_nano_usd) == ("groq/llama", 0)
    assert await gateway.spent("s2026-09") == await gateway.spent("c2026-09") == first.cost_nano_usd


async def running(gateway: Several) -> dict[str, int]:
    numbers = (await gateway.world.ledger.read("T#acme#0")).numbers
    return {name: number for name, number in numbers.items() if name[0] in "nj"}


async def done(gateway: Several, step: str, job_id: str) -> Any:
    asked = {"step": step, "tenant_id": "acme", "job_id": job_id}
    deadline_s = gateway.world.clock.now_s() + 900
    return await JobTask(gateway.world, 5.0).handle(asked, Invocation("r-1", deadline_s=deadline_s))


async def test_hooks_before_the_call_are_asked_once(gateway: Several) -> None:
    hooks = (
        DenyListHook(id="words", stages=("pre_call",), phrases=("forbidden",)),
        SizeHook(id="size", stages=("post_response",), max_reply_characters=100),
    )
    gateway.tenant(hooks=hooks)
    runs = (await gateway.chat(ONE)).json["gateway"]["hooks"]
    assert [(run["id"], run["stage"]) for run in runs] == [("words", "pre_call"), ("size", "post_response")]


async def test_a_reply_that_a_hook_blocks_is_nobodys_failure(gateway: Several) -> None:
    gateway.tenant(hooks=(SizeHook(id="size", stages=("post_response",), max_reply_characters=1),))
    gateway.provider("openai", says("too long"))
    answer = await gateway.chat(ONE)
    assert (answer.status, answer.json["error"]["code"]) == (403, "response_blocked")
    assert gateway.providers.asked == ["openai"]


async def test_a_stream_that_is_held_back_may_still_come_from_another(gateway: Several) -> None:
    """The client has nothing of it yet."""
    gateway.tenant(hooks=(SizeHook(id="size", stages=("post_response",), max_reply_characters=100),))
    gateway.provider("openai", streams(ROLE, event({"content": "Hi"}), ProviderError("cut")))
    gateway.provider("groq", streams_text("gr", "oq"))
    answer = await gateway.chat({**ONE, "stream": True})
    assert texts(answer.events) == "groq"
    assert [one["status"] for one in answer.events[-2]["gateway"]["attempts"]] == ["error", "ok"]


async def test_a_schema_is_asked_for_in_each_providers_way(gateway: Several) -> None:
    """One has words for it, the other is asked in a message; its reply is held against the schema all the same."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    gateway.provider("groq", says('{"a": 1}'), says('{"a": "x"}'))
    answer = await gateway.chat({**ONE, "response_schema": schema})
    assert json.loads(answer.json["choices"][0]["message"]["content"]) == {"a": 1}
    wrong = await gateway.chat({**ONE, "response_schema": schema})
    assert (wrong.status, wrong.json["error"]["details"][0]["pointer"]) == (422, "/a")


async def test_an_error_names_the_message_as_the_client_numbered_it(gateway: Several) -> None:
    """Also where another provider, that is asked for the schema in a message, is the one that refuses."""
    gateway.provider("groq", fails(400, message="messages[1] is wrong", param="messages[1]"))
    answer = await gateway.chat({**HELLO, "fallbacks": ["groq/dumb"], "response_schema": {"type": "object"}})
    assert (answer.status, answer.json["error"]["param"]) == (400, "messages[0]")
