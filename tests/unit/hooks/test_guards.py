"""The guards of size and of schema."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.hooks.built_in import judge
from gateway.hooks.masking import Masking
from gateway.model.hook import SchemaHook, SizeHook
from tests.unit.hooks.subjects import TOOL_CALL, reply, request

DETAILS = [
    {"type": "thinking", "thinking": "cd", "signature": "c2lnbmVk"},
    {"type": "redacted_thinking", "data": "c2VhbGVk"},
    {"type": "reasoningContent", "reasoningContent": {"reasoningText": {"text": "ef", "signature": "c2lnbmVk"}}},
    {"type": "toolResult", "toolResult": {"content": [{"json": {"signature": "gh", "type": "ij"}}]}},
    {"type": "responses.item", "provider": "openai", "item": {"summary": [{"text": "kl"}], "encrypted_content": "eA"}},
]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def size(prompt: int | None = None, reply: int | None = None) -> SizeHook:
    return SizeHook(id="size", max_prompt_characters=prompt, max_reply_characters=reply)


def test_characters_are_counted_in_all_texts_together() -> None:
    subject = request("12345", "67890")
    assert judge(size(10), "pre_call", subject, Masking()).action == "allow"
    verdict = judge(size(9), "pre_call", subject, Masking())
    assert (verdict.action, verdict.reason) == ("block", "The request has more than 9 characters of text.")


def test_each_stage_has_a_limit_of_its_own() -> None:
    assert judge(size(1), "post_response", reply("long"), Masking()).action == "allow"
    assert judge(size(reply=1), "pre_call", request("long"), Masking()).action == "allow"
    assert judge(size(reply=3), "post_response", reply("long"), Masking()).action == "block"


def test_reasoning_that_comes_back_is_read_and_its_signatures_are_not() -> None:
    said = {"role": "assistant", "content": "ab", "reasoning_details": DETAILS}
    assert judge(size(25), "pre_call", request(said), Masking()).action == "allow"
    assert judge(size(24), "pre_call", request(said), Masking()).action == "block"


@pytest.mark.parametrize(
    ("text", "action"), [('{"city": "Paris"}', "allow"), ('{"city": 5}', "block"), ("Paris", "block"), ("", "block")]
)
def test_a_reply_has_to_be_of_the_schema(text: str, action: str) -> None:
    hook = SchemaHook(id="city", stages=("post_response",), schema=CITY)
    assert judge(hook, "post_response", reply(text), Masking()).action == action


def test_every_choice_has_to_be_and_is_not_quoted() -> None:
    hook = SchemaHook(id="city", stages=("post_response",), schema=CITY)
    verdict = judge(hook, "post_response", reply('{"city": "Paris"}', '{"city": 5}'), Masking())
    assert verdict.action == "block"
    assert [(detail.pointer, detail.reason) for detail in verdict.details] == [("/city", "does not satisfy the schema")]


@pytest.mark.parametrize("message", [{"refusal": "No."}, {"tool_calls": [TOOL_CALL]}])
def test_an_answer_of_another_kind_is_not_held_against_it(message: dict[str, Any]) -> None:
    hook = SchemaHook(id="city", stages=("post_response",), schema=CITY)
    assert judge(hook, "post_response", reply(None, **message), Masking()).action == "allow"


def test_a_request_is_held_against_it_by_its_body() -> None:
    schema = {"properties": {"temperature": {"maximum": 0.5}, "messages": {"maxItems": 2}}}
    hook = SchemaHook(id="calm", schema=schema)
    assert judge(hook, "pre_call", request("Hi", temperature=0.4), Masking()).action == "allow"
    verdict = judge(hook, "pre_call", request("Hi", temperature=0.6), Masking())
    assert [detail.pointer for detail in verdict.details] == ["/temperature"]
