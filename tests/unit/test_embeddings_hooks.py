"""Hooks around embeddings: they see texts before the call, and after it that there are vectors."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.model.hook import Hook
from gateway.model.limits import Allowance, Budget
from gateway.model.record import AuditEvent
from tests.fakes import ListEvents, ManualClock, ScriptedHooks
from tests.unit.facts.contract import Validator, component, problems
from tests.unit.facts.facts import SHARED, read_json
from tests.unit.test_embeddings_function import Gateway, Whole, embedding_gateway, vector_of
from tests.unit.test_hooks import hook

MAIL = "joe@example.org"
ANSWER = read_json(SHARED / "schemas" / "hook-answer.schema.json")
QUESTION = Validator(read_json(SHARED / "schemas" / "hook-question.schema.json"))
PAGE = SHARED.parent / "docs" / "hooks.md"
BOTH = ("pre_call", "post_response")


@pytest.fixture
def gateway() -> Gateway:
    return embedding_gateway()


def with_hooks(gateway: Gateway, *hooks: Hook, **tenant: Any) -> ScriptedHooks:
    gateway.allow(approvals=("*",), hooks=hooks, **tenant)
    assert isinstance(gateway.world.hooks, ScriptedHooks)
    return gateway.world.hooks


def inputs(gateway: Gateway) -> list[Any]:
    return [body["input"] for body in gateway.provider.bodies]


async def test_a_hook_is_asked_about_the_request_and_about_the_reply_without_its_vectors(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(stages=BOTH))
    remote.answers["lambda"] = {"action": "allow"}
    body = {"model": "openai/small", "input": ["ab", "cd"], "dimensions": 2, "encoding_format": "base64"}
    answer = await gateway.embed(**body)
    assert [(run["stage"], run["action"]) for run in answer.json["gateway"]["hooks"]] == [
        (stage, "allow") for stage in BOTH
    ]
    before, after = remote.questions
    assert [problems(QUESTION, question) for question in (before, after)] == [[], []]
    assert problems(component("EmbeddingsRequest"), before["request"]) == []
    assert (before["operation"], before["request"]) == ("embeddings", body)
    data = [{"object": "embedding", "index": 0}, {"object": "embedding", "index": 1}]
    assert after["response"] == {"object": "list", "model": "openai/small", "data": data}


async def test_what_is_personal_is_masked_before_it_becomes_a_vector(gateway: Gateway) -> None:
    with_hooks(gateway, hook("mask_pii"))
    reply = (await gateway.embed(input=[f"Mail {MAIL}", "ab"])).json
    assert inputs(gateway) == [["Mail <EMAIL_1>", "ab"]]
    assert reply["data"][1]["embedding"] == vector_of("ab")
    await gateway.embed(input=f"Mail {MAIL}", provider_options={"openai": {"title": MAIL}})
    assert (gateway.provider.bodies[1]["input"], gateway.provider.bodies[1]["title"]) == ("Mail <EMAIL_1>", "<EMAIL_1>")


@pytest.mark.parametrize("kind", ["deny_list", "size"])
async def test_texts_are_read_and_tokens_are_not(gateway: Gateway, kind: str) -> None:
    settings = {"phrases": ["project zeus"]} if kind == "deny_list" else {"max_prompt_characters": 6}
    with_hooks(gateway, hook(kind, **settings))
    blocked = await gateway.embed(input=["ab", "Project Zeus"])
    assert (blocked.status, blocked.json["error"]["code"]) == (403, "request_blocked")
    assert gateway.provider.sent == []
    gateway.provider.say = lambda _: Whole(200, b'{"data": [{"index": 0, "embedding": [1.5]}]}')
    assert (await gateway.embed(input=[1, 2, 12345678])).status == 200
    assert inputs(gateway) == [[1, 2, 12345678]]


async def test_a_schema_is_held_against_the_body(gateway: Gateway) -> None:
    with_hooks(gateway, hook("json_schema", schema={"properties": {"input": {"type": "string"}}}, stages=BOTH))
    blocked = await gateway.embed(input=["ab"])
    assert (blocked.status, blocked.json["error"]["details"][0]["pointer"]) == (403, "/input")
    assert (await gateway.embed(input="ab")).status == 200


async def test_tokens_can_be_forbidden_as_the_page_says(gateway: Gateway) -> None:
    (documented,) = re.findall(r'```json\n(\{"kind": "json_schema".*?)```', PAGE.read_text(), re.DOTALL)
    with_hooks(gateway, msgspec.json.decode(documented, type=Hook))
    for tokens in ([1, 2], [[1], [2]]):
        assert (await gateway.embed(input=tokens)).json["error"]["code"] == "request_blocked"
    assert [(await gateway.embed(input=words)).status for words in ("ab", ["ab", "cd"])] == [200, 200]


async def test_a_guardrail_is_asked_about_texts_alone(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook("bedrock_guardrail", guardrail_id="abc123", stages=BOTH))
    remote.answers["bedrock-guardrail"] = {
        "action": "GUARDRAIL_INTERVENED",
        "outputs": [{"text": "{NAME}"}, {"text": "cd"}],
        "assessments": [{"sensitiveInformationPolicy": {"piiEntities": [{"action": "ANONYMIZED"}]}}],
    }
    assert (await gateway.embed(input=["Joe", "cd"])).status == 200
    assert inputs(gateway) == [["{NAME}", "cd"]]
    assert [question["source"] for question in remote.questions] == ["INPUT"]


@pytest.mark.parametrize(
    ("patch", "cause"),
    [
        ({"input": ["x"]}, "patch_input"),
        ({"input": [[1]]}, "patch_input"),
        ({"input": ["x", ""]}, "patch_request"),
        ({"model": "openai/fixed"}, "patch_member"),
        ({"encoding_format": "float"}, "patch_member"),
    ],
)
async def test_a_patch_that_does_not_fit_fails_the_hook(gateway: Gateway, patch: Any, cause: str) -> None:
    with_hooks(gateway, hook()).answers["lambda"] = {"action": "modify", "patch": patch}
    failed = await gateway.embed(input=["ab", "cd"])
    assert (failed.status, failed.json["error"]["code"]) == (503, "hook_unavailable")
    assert cause in failed.json["error"]["message"]
    assert gateway.provider.sent == []


async def test_a_changed_request_is_checked_and_held_anew(gateway: Gateway) -> None:
    """100 tokens a text are the most that the model reads: 2,000 nano-USD of it."""
    budget = Allowance(budgets=(Budget(window="day", usd=Decimal("0.000004")),))
    remote = with_hooks(gateway, hook(), allowance=budget)
    remote.answers["lambda"] = {"action": "modify", "patch": {"input": ["x" * 84, "cd"], "dimensions": 2}}
    assert (await gateway.embed(input=["ab", "cd"])).status == 200
    assert gateway.provider.bodies[0]["dimensions"] == 2
    remote.answers["lambda"] = {"action": "modify", "patch": {"input": ["x" * 84, "y" * 100]}}
    refused = await gateway.embed(input=["ab", "cd"])
    assert (refused.status, refused.json["error"]["code"]) == (402, "budget_exceeded")
    assert "A hook of this tenant changed the request." in refused.json["error"]["message"]
    remote.answers["lambda"] = {"action": "modify", "patch": {"dimensions": 5}}
    assert (await gateway.embed(input=["ab", "cd"])).json["error"]["param"] == "dimensions"
    assert len(gateway.provider.sent) == 2


async def test_a_blocked_reply_is_paid(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(stages=("post_response",)))
    remote.answers["lambda"] = {"action": "block", "reason": "Too many."}
    blocked = await gateway.embed(input=["ab", "cd"])
    error = blocked.json["error"]
    assert (blocked.status, error["code"], error["hook"]) == (403, "response_blocked", "lambda")
    assert (error["usage"]["prompt_tokens"], error["usage"]["cost_estimate"]) == (2, 4e-8)
    (record,) = gateway.usage
    assert (record.outcome, record.code, record.cost_nano_usd) == ("error", "response_blocked", 40)
    assert isinstance(gateway.world.events, ListEvents)
    ended = [told for told in gateway.world.events.told if isinstance(told, AuditEvent)][-1]
    assert (ended.event, ended.facts["reason"]) == ("request.blocked", "Too many.")


def test_the_contract_takes_a_patch() -> None:
    patch = {"input": ["x"], "dimensions": None}
    assert problems(Validator(ANSWER), {"action": "modify", "patch": patch}) == []


async def test_no_reply_can_be_changed(gateway: Gateway) -> None:
    remote = with_hooks(gateway, hook(stages=("post_response",), on_failure="open"), hook("mask_pii", stages=BOTH))
    remote.answers["lambda"] = {"action": "modify", "patch": {"data": []}}
    reply = (await gateway.embed(input=["ab"])).json
    assert reply["data"][0]["embedding"] == vector_of("ab")
    assert [run["action"] for run in reply["gateway"]["hooks"]] == ["allow", "failed", "allow"]


async def test_waiting_for_hooks_is_no_overhead(gateway: Gateway) -> None:
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)

    async def slow() -> dict[str, Any]:
        clock.running_s += 3
        return {"action": "allow"}

    with_hooks(gateway, hook(stages=BOTH)).answers["lambda"] = slow
    report = (await gateway.embed(input="ab")).json["gateway"]
    assert (report["latency_ms"], report["overhead_ms"]) == (6_000, 0)
