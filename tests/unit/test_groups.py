"""A name for several models: which of them answers, what the client is told, and what it costs."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.health_ports import AllHealthy
from gateway.model.group import ModelGroup, Routing
from gateway.model.hook import MaskPiiHook
from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.reliability import FallbackRule, Health
from tests.fakes import MemoryCatalog
from tests.unit.several_providers import Several, embeds, fails, model, says, several, streams_text, texts
from tests.unit.test_fallback import COST, HELLO, TOOLS
from tests.unit.test_fallback_around import done

CHAT = {**HELLO, "model": "chat"}
OPENAI, GROQ, MISTRAL = "openai/gpt", "groq/llama", "mistral/large"


def group(*models: Any, routing: Routing = "ordered") -> ModelGroup:
    """As it is stored."""
    return msgspec.convert({"models": models, "routing": routing}, ModelGroup)


def of_a_group() -> Several:
    """All of it are well, and say who they are."""
    made = several()
    for name in ("openai", "groq", "mistral"):
        made.provider(name, says(name))
    made.tenant(aliases={"chat": group(OPENAI, GROQ, MISTRAL)})
    return made


@pytest.fixture
def gateway() -> Several:
    return of_a_group()


def well(gateway: Several, states: Mapping[str, Health]) -> None:
    class Reading(AllHealthy):
        def of(self, provider: str, _model: str) -> Health:
            return states.get(provider, "healthy")

    gateway.world = replace(gateway.world, health=Reading())


def left_out(reply: Any) -> list[tuple[str, str]]:
    return [(one["model"], one["code"]) for one in reply["gateway"].get("left_out", ())]


async def test_the_first_member_answers_and_is_no_fallback(gateway: Several) -> None:
    reply = (await gateway.chat(CHAT)).json
    report = reply["gateway"]
    assert (reply["model"], report["model_used"], report["model_requested"]) == (OPENAI, OPENAI, "chat")
    assert (report["fallback_used"], len(report["attempts"]), "left_out" in report) == (False, 1, False)
    assert (gateway.providers.asked, gateway.switches) == (["openai"], [])
    [usage], [line] = gateway.usage, gateway.records.written
    assert (usage.model, usage.model_requested, line.model_requested) == (OPENAI, "chat", "chat")


async def test_the_others_are_what_is_fallen_back_on_and_then_the_requests_own(gateway: Several) -> None:
    gateway.tenant(aliases={"chat": group(OPENAI, GROQ)})
    gateway.provider("openai", fails(500))
    gateway.provider("groq", fails(429))
    reply = (await gateway.chat({**CHAT, "fallbacks": [MISTRAL, GROQ]})).json
    assert gateway.providers.asked == ["openai", "groq", "mistral"]
    assert (reply["model"], reply["gateway"]["fallback_used"]) == (MISTRAL, True)
    assert [(one.facts["from"], one.facts["to"]) for one in gateway.switches] == [(OPENAI, GROQ), (GROQ, MISTRAL)]


async def test_an_empty_list_of_fallbacks_leaves_the_group_as_it_is(gateway: Several) -> None:
    gateway.tenant(aliases={"chat": group(OPENAI, GROQ)}, fallbacks=(FallbackRule(fallback=(MISTRAL,)),))
    gateway.provider("openai", fails(500))
    gateway.provider("groq", fails(500))
    assert (await gateway.chat({**CHAT, "fallbacks": []})).status == 502
    assert gateway.providers.asked == ["openai", "groq"]


@pytest.mark.parametrize("pattern", ["chat", "openai/*", "*"])
async def test_a_tenants_rule_is_for_the_group_or_for_the_member_that_comes_first(
    gateway: Several, pattern: str
) -> None:
    rules = (FallbackRule(models="groq/*", fallback=(GROQ,)), FallbackRule(models=pattern, fallback=(MISTRAL,)))
    gateway.tenant(aliases={"chat": group(OPENAI)}, fallbacks=rules)
    gateway.provider("openai", fails(500))
    assert (await gateway.chat(CHAT)).json["model"] == MISTRAL


async def test_a_group_may_be_fallen_back_on(gateway: Several) -> None:
    gateway.tenant(aliases={"spare": group("groq/dumb", MISTRAL, GROQ)})
    gateway.provider("openai", fails(500))
    gateway.provider("mistral", fails(500))
    reply = (await gateway.chat({**HELLO, "tools": TOOLS, "fallbacks": ["spare"]})).json
    assert gateway.providers.asked == ["openai", "mistral", "groq"]
    assert left_out(reply) == [("groq/dumb", "capability_not_supported")]
    assert reply["gateway"]["fallback_used"] is True


async def test_what_one_member_cannot_do_another_does(gateway: Several) -> None:
    gateway.tenant(aliases={"chat": group("groq/dumb", "groq/small", "groq/nope", MISTRAL)}, approvals=("*",))
    more = {"tools": TOOLS, "messages": [{"role": "user", "content": "word " * 40}]}
    reply = (await gateway.chat({**CHAT, **more})).json
    assert (reply["model"], reply["gateway"]["fallback_used"]) == (MISTRAL, False)
    assert left_out(reply) == [
        ("groq/dumb", "capability_not_supported"),
        ("groq/small", "validation_error"),
        ("groq/nope", "model_not_found"),
    ]


async def test_what_an_api_has_no_word_for_another_has(gateway: Several) -> None:
    """That shows when it is asked."""
    gateway.tenant(aliases={"chat": group(GROQ, OPENAI), "groq": group(GROQ, "groq/dumb"), "one": group(GROQ)})
    call = {**CHAT, "logit_bias": {"1": 1}}
    reply = (await gateway.chat(call)).json
    assert (gateway.providers.asked, reply["model"]) == (["openai"], OPENAI)
    shown = [(one["model"], one["code"], one["cost_estimate"]) for one in reply["gateway"]["attempts"]]
    assert shown == [(GROQ, "capability_not_supported", 0.0), (OPENAI, None, COST["openai"] / 1e9)]
    assert [switch.facts["code"] for switch in gateway.switches] == ["capability_not_supported"]
    for name in ("groq", "one"):
        answer = await gateway.chat({**call, "model": name})
        assert (answer.status, answer.json["error"]["param"]) == (400, "logit_bias")
    assert gateway.providers.asked == ["openai"]
    assert (await gateway.world.ledger.read("T#acme#0")).holds == {}


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_file_turns_out_to_be_another_can_read(gateway: Several, stream: bool) -> None:
    """Both take images; one of them no GIF, which shows when the image is there."""
    sees: dict[str, Any] = {"input": ("text", "image"), "capabilities": ("streaming",)}
    catalog = {name: {"sees": model("sees", **sees)} for name in ("xai", "groq")}
    gateway.world = replace(gateway.world, catalog=MemoryCatalog(catalog))
    gateway.provider("groq", streams_text("groq") if stream else says("groq"))
    gateway.tenant(aliases={"chat": group("xai/sees", "groq/sees"), "xai": group("xai/sees")}, approvals=("*",))
    gif = b64encode(b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(6) + b",;").decode()
    part = {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{gif}"}}
    call = {**CHAT, "messages": [{"role": "user", "content": [part]}], "stream": stream}
    answer = await gateway.chat(call)
    report = answer.events[-2]["gateway"] if stream else answer.json["gateway"]
    assert (report["model_used"], report["fallback_used"], len(report["attempts"])) == ("groq/sees", False, 1)
    assert [(one["model"], one["code"]) for one in report["left_out"]] == [("xai/sees", "capability_not_supported")]
    assert gateway.switches == []
    refused = await gateway.chat({**call, "model": "xai"})
    assert (refused.status, refused.json["error"]["code"]) == (400, "capability_not_supported")


async def test_a_member_that_is_not_approved_is_left_out(gateway: Several) -> None:
    gateway.tenant(aliases={"chat": group(OPENAI, GROQ)}, approvals=("groq/*",))
    reply = (await gateway.chat(CHAT)).json
    assert (reply["model"], left_out(reply)) == (GROQ, [(OPENAI, "model_not_approved")])


async def test_only_what_none_of_them_can_do_is_refused_with_all_reasons(gateway: Several) -> None:
    gateway.tenant(aliases={"chat": group(OPENAI, "groq/dumb", "mistral/embed")}, approvals=("groq/*", "mistral/*"))
    answer = await gateway.chat({**CHAT, "tools": TOOLS})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "capability_not_supported", "tools")
    assert error["message"].startswith("No model of 'chat' can answer this. openai/gpt: The model 'openai/gpt' is not")
    assert "groq/dumb: " in error["message"]
    assert "mistral/embed: " in error["message"]
    assert gateway.providers.asked == []


async def test_a_group_of_which_nothing_may_be_used(gateway: Several) -> None:
    gateway.tenant(aliases={"chat": group(OPENAI, GROQ)}, approvals=("xai/*",))
    answer = await gateway.chat(CHAT)
    assert (answer.status, answer.json["error"]["code"]) == (403, "model_not_approved")
    gateway.tenant(aliases={"chat": group("openai/nope")})
    answer = await gateway.chat(CHAT)
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
    assert "openai/nope" in answer.json["error"]["message"]


async def test_what_is_wrong_for_all_in_the_same_words_is_told_once(gateway: Several) -> None:
    message = (await gateway.chat({**CHAT, "messages": []})).json["error"]["message"]
    assert "No model of" not in message


async def test_health_comes_before_the_order_and_is_no_fallback(gateway: Several) -> None:
    well(gateway, {"openai": "unhealthy", "groq": "degraded"})
    gateway.provider("mistral", fails(500))
    gateway.provider("groq", fails(500))
    reply = (await gateway.chat(CHAT)).json
    assert gateway.providers.asked == ["mistral", "groq", "openai"]
    assert [switch.facts["code"] for switch in gateway.switches] == ["provider_error", "provider_error"]
    gateway.provider("mistral", says("mistral"))
    reply = (await gateway.chat(CHAT)).json
    assert (reply["model"], reply["gateway"]["fallback_used"]) == (MISTRAL, False)


async def test_by_lot_what_is_well_shares_what_others_would_have_had(gateway: Several) -> None:
    weights = [{"model": OPENAI, "weight": 6}, {"model": GROQ, "weight": 3}, {"model": MISTRAL, "weight": 1}]
    gateway.tenant(aliases={"chat": group(*weights, routing="weighted")})
    well(gateway, {"openai": "unhealthy"})
    gateway.world = replace(gateway.world, dice=Random(7).random)  # noqa: S311 - dice
    for name in ("groq", "mistral"):
        gateway.provider(name, *(says(name) for _ in range(200)))
    used = Counter([(await gateway.chat(CHAT)).json["model"] for _ in range(200)])
    assert set(used) == {GROQ, MISTRAL}
    assert used[GROQ] == pytest.approx(150, abs=31)


async def test_the_cheapest_answers(gateway: Several) -> None:
    """3, 2 and 1 dollars."""
    gateway.tenant(aliases={"chat": group(GROQ, MISTRAL, OPENAI, routing="lowest_cost")})
    gateway.provider("openai", fails(500))
    assert (await gateway.chat(CHAT)).json["model"] == MISTRAL
    assert gateway.providers.asked == ["openai", "mistral"]


async def test_the_cheapest_by_what_the_call_brings_and_not_by_what_a_model_could_give(gateway: Several) -> None:
    chatty = model("chatty", 1, max_output_tokens=900)
    catalog = MemoryCatalog({"openai": {"gpt": model("gpt", 2)}, "groq": {"chatty": chatty}})
    gateway.world = replace(gateway.world, catalog=catalog)
    gateway.tenant(aliases={"chat": group(OPENAI, "groq/chatty", routing="lowest_cost")})
    call = {name: value for name, value in CHAT.items() if name != "max_tokens"}
    assert (await gateway.chat(call)).json["model"] == "groq/chatty"


async def test_a_stream_falls_back_inside_the_group(gateway: Several) -> None:
    gateway.provider("openai", fails(529))
    gateway.provider("groq", streams_text("g", "roq"))
    answer = await gateway.chat({**CHAT, "stream": True})
    assert (texts(answer.events), answer.events[-1]) == ("groq", "[DONE]")
    report = answer.events[-2]["gateway"]
    assert (report["model_requested"], report["model_used"], report["fallback_used"]) == ("chat", GROQ, True)


async def test_in_a_race_all_members_run(gateway: Several) -> None:
    gateway.tenant(aliases={"chat": group(OPENAI, GROQ)})
    gateway.provider("openai", fails(500))
    gateway.provider("groq", fails(500))
    more = {"fallback": {"models": [MISTRAL], "strategy": "parallel"}}
    reply = (await gateway.chat({**CHAT, **more})).json
    assert sorted(gateway.providers.asked) == ["groq", "mistral", "openai"]
    assert (reply["model"], reply["gateway"]["fallback_used"]) == (MISTRAL, True)


async def test_a_job_is_of_the_group_and_falls_back_inside_it(gateway: Several) -> None:
    gateway.provider("openai", fails(500))
    job = (await gateway.chat({**CHAT, "async": True})).json
    assert job["model"] == "chat"
    for step in ("ask", "settle"):
        assert (await done(gateway, step, job["id"]))["status"] == "completed"
    assert gateway.providers.asked == ["openai", "groq"]
    assert (await gateway.world.ledger.read("T#acme#0")).holds == {}
    assert await gateway.spent("s2026-09") == COST["groq"]


async def test_a_hook_sees_the_name_and_what_it_changes_is_for_the_whole_group(gateway: Several) -> None:
    hook = MaskPiiHook(id="mask")
    gateway.tenant(aliases={"chat": group(OPENAI, GROQ)}, hooks=(hook,))
    gateway.provider("openai", fails(500))
    said = [{"role": "user", "content": "Write to ann@example.com"}]
    reply = (await gateway.chat({**CHAT, "messages": said})).json
    assert (gateway.providers.asked, reply["model"]) == (["openai", "groq"], GROQ)
    assert reply["gateway"]["model_requested"] == "chat"
    assert "ann@example.com" not in gateway.providers.sent[0].body.decode()


class TestMoney:
    async def test_rules_go_by_the_member_that_answers(self, gateway: Several) -> None:
        budgets = tuple(Budget(window="month", usd=Decimal(1), models=f"{name}/*") for name in ("openai", "groq"))
        gateway.tenant(aliases={"chat": group(OPENAI, GROQ)}, allowance=Allowance(budgets=budgets))
        gateway.provider("openai", fails(500))
        await gateway.chat(CHAT)
        numbers = (await gateway.world.ledger.read("T#acme#0")).numbers
        assert numbers[f"s2026-09{suffix('groq/*')}"] == numbers[f"c2026-09{suffix('groq/*')}"] == COST["groq"]
        assert numbers[f"c2026-09{suffix('openai/*')}"] == 0

    async def test_a_member_without_a_price_is_left_out_where_money_is_limited(self, gateway: Several) -> None:
        catalog = MemoryCatalog(
            {"openai": {"gpt": model("gpt")}, "groq": {"free": msgspec.structs.replace(model("free"), prices=None)}}
        )
        gateway.world = replace(gateway.world, catalog=catalog)
        allowance = Allowance(budgets=(Budget(window="month", usd=Decimal(1)),))
        gateway.tenant(aliases={"chat": group("groq/free", OPENAI)}, allowance=allowance)
        reply = (await gateway.chat(CHAT)).json
        assert (reply["model"], left_out(reply)) == (OPENAI, [("groq/free", "price_unknown")])

    async def test_a_job_whose_first_member_is_another_by_now_is_held_for_under_its_rules(
        self, gateway: Several
    ) -> None:
        rules = (Limits(models="groq/*", concurrent_jobs=0),)
        gateway.tenant(aliases={"chat": group(OPENAI, GROQ)}, allowance=Allowance(limits=rules))
        job_id = (await gateway.chat({**CHAT, "async": True})).json["id"]
        well(gateway, {"openai": "unhealthy"})
        ended = await done(gateway, "ask", job_id)
        assert (ended["status"], gateway.providers.asked) == ("completed", ["openai"])
        await done(gateway, "settle", job_id)
        numbers = (await gateway.world.ledger.read("T#acme#0")).numbers
        assert (numbers.get(f"j{suffix('groq/*')}", 0), numbers["j"]) == (0, 0)


@pytest.mark.parametrize("routing", ["ordered", "lowest_cost"])
async def test_vectors_are_as_long_as_those_of_the_first_that_is_listed(gateway: Several, routing: Routing) -> None:
    gateway.provider("mistral", embeds())
    gateway.provider("openai", fails(503))
    members = ("groq/llama", "openai/embed", "mistral/long", "mistral/embed")
    gateway.tenant(aliases={"vectors": group(*members, routing=routing)})
    reply = (await gateway.embed(model="vectors")).json
    assert (reply["model"], gateway.providers.asked) == ("mistral/embed", ["openai", "mistral"])
    assert left_out(reply) == [
        ("groq/llama", "capability_not_supported"),
        ("mistral/long", "capability_not_supported"),
    ]
