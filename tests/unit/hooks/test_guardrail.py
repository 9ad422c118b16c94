"""Amazon Bedrock Guardrails: recorded and documented answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.hooks.guardrail import parse, render
from gateway.model.hook import HookFailed
from tests.unit.hooks.subjects import TOOL_CALL, called, reply, request, said

BLOCKED = {
    "action": "GUARDRAIL_INTERVENED",
    "actionReason": "Guardrail blocked.",
    "outputs": [{"text": "Sorry, the model cannot answer this question."}],
    "assessments": [
        {
            "contentPolicy": {"filters": [{"action": "NONE", "detected": False, "type": "HATE"}]},
            "sensitiveInformationPolicy": {"piiEntities": [{"action": "ANONYMIZED", "type": "EMAIL", "match": "x"}]},
            "topicPolicy": {"topics": [{"action": "BLOCKED", "name": "Investment", "type": "DENY"}]},
            "wordPolicy": None,
        }
    ],
    "usage": {"topicPolicyUnits": 1},
}


def masking(*outputs: str) -> dict[str, Any]:
    entity = {"action": "ANONYMIZED", "type": "EMAIL", "match": "joe@example.org"}
    return {
        "action": "GUARDRAIL_INTERVENED",
        "outputs": [{"text": text} for text in outputs],
        "assessments": [{"sensitiveInformationPolicy": {"piiEntities": [entity]}}],
    }


def test_each_text_is_a_block_of_its_own() -> None:
    subject = request("Hi", {"role": "assistant", "content": " ", "tool_calls": [TOOL_CALL]}, "joe@example.org")
    sent = json.loads(render("pre_call", subject) or b"")
    assert sent["source"] == "INPUT"
    blocks = [block["text"]["text"] for block in sent["content"]]
    assert blocks == ["Hi", "to", "joe@example.org", "joe@example.org", "send"]
    assert json.loads(render("post_response", reply("Hi")) or b"")["source"] == "OUTPUT"


def test_what_has_to_stay_as_it_is_is_one_block_and_the_last() -> None:
    schema = {"properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
    subject = request("Hi", tools=[{"type": "function", "function": {"name": "weather", "parameters": schema}}])
    sent = json.loads(render("pre_call", subject) or b"")
    assert [block["text"]["text"] for block in sent["content"]] == ["Hi", "weather\ncity\nParis\nRome"]
    verdict = parse(subject, json.dumps(masking("Hi", "weather\ncity\n{CITY}\nRome")).encode())
    assert verdict.action == "block"
    same = parse(subject, json.dumps(masking("{HI}", "weather\ncity\nParis\nRome")).encode())
    assert same.action == "modify"


def test_there_is_nothing_to_ask_about_without_text() -> None:
    assert render("post_response", reply(None, "")) is None


def test_no_intervention_lets_it_pass() -> None:
    subject = request("Hi")
    verdict = parse(subject, b'{"action": "NONE", "outputs": [], "assessments": [{}]}')
    assert (verdict.action, verdict.subject is subject) == ("allow", True)


def test_a_block_says_what_the_guardrail_says() -> None:
    verdict = parse(request("Hi"), json.dumps(BLOCKED).encode())
    assert (verdict.action, verdict.reason) == ("block", "Sorry, the model cannot answer this question.")


def test_an_intervention_that_says_nothing_blocks() -> None:
    assert parse(request("Hi"), b'{"action": "GUARDRAIL_INTERVENED"}').action == "block"


def test_masked_texts_come_back_where_they_stood() -> None:
    subject = reply("joe@example.org", " ", tool_calls=[TOOL_CALL])
    verdict = parse(subject, json.dumps(masking("{EMAIL}", "to", "{EMAIL}", "to", "{EMAIL}", "send")).encode())
    assert verdict.action == "modify"
    assert said(verdict.subject) == ["{EMAIL}", " "]
    assert called(verdict.subject) == [{"to": "{EMAIL}"}]


@pytest.mark.parametrize("outputs", [[], ["a"], ["a", "b", "c"]])
def test_masked_texts_that_nobody_can_place_are_no_answer(outputs: list[str]) -> None:
    with pytest.raises(HookFailed, match="answer"):
        parse(request("joe@example.org", "Hi"), json.dumps(masking(*outputs)).encode())


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"action": "MAYBE"}', b'{"outputs": []}'])
def test_what_is_no_answer(answer: bytes) -> None:
    with pytest.raises(HookFailed, match="answer"):
        parse(request("Hi"), answer)
