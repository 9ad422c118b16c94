"""Tokens in place of values, the same all through a request, and back again, also where a stream cuts a token."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from gateway.hooks.built_in import judge
from gateway.hooks.chat_request import ChatRequest
from gateway.hooks.masking import Masking, Restorer
from gateway.hooks.subject import Verdict
from gateway.model.chat import AssistantMessage
from gateway.model.hook import MaskPiiHook
from tests.unit.hooks.subjects import TOOL_CALL, called, reply, request, said

HOOK = MaskPiiHook(id="pii")
MAIL = "joe@example.org"
SCHEMA = {"properties": {"to": {"type": "string", "description": f"As {MAIL}", "pattern": "joe@"}}}


def masked(subject: ChatRequest, masking: Masking | None = None, hook: MaskPiiHook = HOOK) -> Verdict[ChatRequest]:
    return judge(hook, "pre_call", subject, masking or Masking())


def contents(subject: ChatRequest) -> list[Any]:
    return [message.content for message in subject.call.messages]


def test_a_value_has_one_token_and_another_value_the_next() -> None:
    verdict = masked(request("joe@example.org", "ann@example.org and joe@example.org"))
    assert verdict.action == "modify"
    assert contents(verdict.subject) == ["<EMAIL_1>", "<EMAIL_2> and <EMAIL_1>"]


def test_what_has_nothing_personal_is_the_same_request() -> None:
    subject = request("Hello")
    verdict = masked(subject)
    assert (verdict.action, verdict.subject is subject) == ("allow", True)


def test_every_place_where_somebody_can_have_written_it() -> None:
    subject = request(
        {"role": "system", "content": "You are Joe's, joe@example.org"},
        {"role": "user", "content": [{"type": "text", "text": "joe@example.org"}]},
        {"role": "assistant", "content": None, "reasoning_content": "joe@example.org?", "tool_calls": [TOOL_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sent to joe@example.org"},
        {
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "not to joe@example.org"}],
            "refusal": "joe@example.org",
        },
        tools=[
            {"type": "function", "function": {"name": "f", "description": f"For {MAIL}", "parameters": SCHEMA}},
            {"type": "inline_gts", "schema": SCHEMA},
        ],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "description": MAIL}},
        prediction={"type": "content", "content": "joe@example.org"},
        provider_options={"openai": {"instructions": "joe@example.org"}},
    )
    verdict = masked(subject)
    sent = json.dumps(verdict.subject.body())
    assert "joe@example.org" not in sent
    assert sent.count("<EMAIL_1>") == 14
    assert '"pattern": "joe@"' in sent
    assert "Joe's" in sent


def test_arguments_stay_json_whatever_stands_in_them() -> None:
    arguments = '{"mail": "joe\\u0040example.org", "card": 4111111111111111, "n": 5, "deep": [{"type": "a@b.co"}]}'
    call = {**TOOL_CALL, "function": {"name": "f", "arguments": arguments}}
    verdict = masked(request({"role": "assistant", "content": None, "tool_calls": [call]}))
    [message] = verdict.subject.call.messages
    assert isinstance(message, AssistantMessage)
    assert message.tool_calls
    assert json.loads(message.tool_calls[0].function.arguments) == {
        "mail": "<EMAIL_1>",
        "card": "<CARD_1>",
        "n": 5,
        "deep": [{"type": "<EMAIL_2>"}],
    }


def test_arguments_that_are_no_json_are_masked_as_text() -> None:
    call = {**TOOL_CALL, "function": {"name": "f", "arguments": '{"mail": "joe@example.org'}}
    [message] = masked(request({"role": "assistant", "content": None, "tool_calls": [call]})).subject.call.messages
    assert isinstance(message, AssistantMessage)
    assert message.tool_calls
    assert message.tool_calls[0].function.arguments == '{"mail": "<EMAIL_1>'


def test_a_token_that_is_there_already_is_not_given_out() -> None:
    masking = Masking()
    verdict = masked(request("What is <EMAIL_1>? Mine is joe@example.org"), masking)
    assert contents(verdict.subject) == ["What is <EMAIL_1>? Mine is <EMAIL_2>"]
    assert masking.restored("<EMAIL_1> <EMAIL_2>") == "<EMAIL_1> joe@example.org"


def test_the_next_turn_of_a_conversation_has_the_same_tokens() -> None:
    first, second = request("joe@example.org", "Hi"), request("joe@example.org", "Hi", "and ann@example.org")
    assert contents(masked(second).subject)[:2] == contents(masked(first).subject)


def test_a_reply_gets_its_values_back_in_text_and_arguments() -> None:
    masking = Masking()
    masked(request("joe@example.org and 4111 1111 1111 1111"), masking)
    call = {"id": "c", "function": {"name": "send", "arguments": '{"to": "<EMAIL_1>"}'}}
    answer = reply("To <EMAIL_1> (<email_1>), <CARD_1>, <CARD_7>", tool_calls=[call], reasoning_details=[{"a": 1}])
    restored = answer.restored(masking.restored)
    assert said(restored) == ["To joe@example.org (joe@example.org), 4111 1111 1111 1111, <CARD_7>"]
    assert called(restored) == [{"to": "joe@example.org"}]
    assert restored.reply.choices[0].message.reasoning_details == [{"a": 1}]


@pytest.mark.parametrize(
    ("thought", "sent"),
    [("To <EMAIL_1>, then.", True), ("To joe@example.org, then.", False), ("To joe\u200b@example.org", True)],
)
def test_signed_reasoning_goes_back_as_it_is_or_not_at_all(thought: str, sent: bool) -> None:
    details = [{"type": "thinking", "thinking": thought, "signature": "c2ln"}, {"type": "text", "chars": 3}]
    subject = request(MAIL, {"role": "assistant", "content": f"To {MAIL}", "reasoning_details": details})
    _, message = masked(subject).subject.call.messages
    assert isinstance(message, AssistantMessage)
    assert (message.content, message.reasoning_details) == ("To <EMAIL_1>", details if sent else None)


def test_values_that_are_not_to_come_back_do_not() -> None:
    masking = Masking()
    masked(request("joe@example.org"), masking, MaskPiiHook(id="pii", restores=False))
    assert not masking.restores
    assert masking.restored("<EMAIL_1>") == "<EMAIL_1>"


def test_what_a_reply_brings_up_itself_is_masked_for_good() -> None:
    masking = Masking()
    masked(request("joe@example.org"), masking)
    verdict = judge(HOOK, "post_response", reply("<EMAIL_1> knows ann@example.org"), masking)
    assert said(verdict.subject) == ["<EMAIL_1> knows <EMAIL_2>"]
    assert said(verdict.subject.restored(masking.restored)) == ["joe@example.org knows <EMAIL_2>"]


@pytest.mark.parametrize(
    ("text", "in_json"),
    [
        ("Hi <EMAIL_1>, <b> and <EMAIL_2>!", False),
        ("<EMAIL_1><EMAIL_1>", False),
        ("a < b <EMA", False),
        ("<EMAIL_1", False),
        ("x<", False),
        ('{"to": "<EMAIL_1>"}', True),
        ('{"to": "\\u003cEMAIL_1\\u003E \\u00', True),
        ("<email_2\\u003e", True),
    ],
)
def test_a_token_may_be_cut_anywhere(text: str, in_json: bool) -> None:
    masking = Masking()
    masked(request("joe@example.org ann@example.org"), masking)
    whole = masking.restored_in_json(text) if in_json else masking.restored(text)
    cuts = range(len(text) + 1)
    for first, second in product(cuts, cuts):
        if first <= second:
            restorer = Restorer(masking, in_json=in_json)
            pieces = [restorer.take(piece) for piece in (text[:first], text[first:second], text[second:])]
            assert "".join([*pieces, restorer.rest()]) == whole


def test_a_token_may_be_spelt_out_in_json() -> None:
    masking = Masking()
    masked(request("joe@example.org"), masking)
    assert masking.restored_in_json('{"to": "\\u003cEMAIL_1\\u003E"}') == '{"to": "joe@example.org"}'


def test_little_is_held_back() -> None:
    restorer = Restorer(Masking())
    assert restorer.take("a <b> c < d <i") == "a <b> c < d "
    assert restorer.take("> e") == "<i> e"


def test_a_value_with_quotes_is_escaped_in_json() -> None:
    masking = Masking()
    key = '-----BEGIN PRIVATE KEY-----\nab"c\n-----END PRIVATE KEY-----'
    masked(request(key), masking, MaskPiiHook(id="pii", finds=("secret",)))
    restorer = Restorer(masking, in_json=True)
    text = restorer.take('{"key": "<SECR') + restorer.take('ET_1>"}') + restorer.rest()
    assert json.loads(text) == {"key": key}


def test_nothing_shows_what_stands_for_what() -> None:
    masking = Masking()
    masked(request("joe@example.org"), masking)
    assert "joe" not in repr(masking) + repr(Restorer(masking))
