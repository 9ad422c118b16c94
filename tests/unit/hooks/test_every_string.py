"""No string of a request is out of sight of a hook: it is judged, and what is personal is masked or does not pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway.hooks.built_in import judge
from gateway.hooks.chat_request import ChatRequest
from gateway.hooks.embeddings_request import EmbeddingsRequest
from gateway.hooks.images import ImagesRequest
from gateway.hooks.masking import Masking
from gateway.hooks.schemas import schema_demands, schema_with
from gateway.hooks.speech import SpeechRequest
from gateway.hooks.subject import json_with, texts_of
from gateway.hooks.transcription import TranscriptionRequest
from gateway.hooks.videos import VideoPrompt
from gateway.model.chat import ChatCall
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.hook import DenyListHook, MaskPiiHook, SizeHook
from gateway.model.images import ImagesCall
from gateway.model.speech import SpeechCall
from gateway.model.transcription import TranscriptionCall
from gateway.model.video import VideoCall
from tests.unit.hooks.subjects import reply, request

MAIL = "joe@example.org"
MASK = MaskPiiHook(id="pii")
DENY = DenyListHook(id="words", phrases=("joe example org",))


def function(**members: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "send", **members}}]}


def parameters(schema: dict[str, Any]) -> dict[str, Any]:
    return function(parameters={"type": "object", "properties": {"to": schema}})


def call(**members: Any) -> dict[str, Any]:
    called = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": "{}"}, **members}
    return {"messages": [{"role": "assistant", "content": None, "tool_calls": [called]}]}


def details(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "content": "Hi", "reasoning_details": list(blocks)}]}


def part(**members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, members]}]}


MASKED = [
    {"metadata": {"customer": MAIL}},
    {"stop": MAIL},
    {"stop": ["END", MAIL]},
    {"web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": MAIL}}}},
    {"provider_options": {"openai": {"properties": {"type": {"enum": [MAIL]}}}}},
    parameters({"title": MAIL}),
    parameters({"$comment": MAIL}),
    parameters({"default": MAIL}),
    parameters({"examples": [{MAIL: [MAIL]}]}),
    parameters({"anyOf": [{"items": {"title": MAIL}}]}),
    function(parameters={"$defs": {"Address": {"title": MAIL}}}),
    call(function={"name": "send", "arguments": f'{{"{MAIL}":{{"{MAIL}":1}}}}'}),
    part(type="file", file={"file_id": "file_1", "filename": MAIL}),
    part(type="document", url="https://example.org/a.pdf", name=MAIL),
]
DROPPED = [
    {"user": MAIL},
    {"safety_identifier": MAIL},
    {"prompt_cache_key": MAIL},
    {"messages": [{"role": "user", "content": "Hi", "name": MAIL}]},
    call(extra_content={"anthropic": {"caller": {"type": "direct", "tool_id": MAIL}}}),
    details({"type": "toolUse", "toolUse": {"input": {MAIL: 1}}}),
]
REFUSED = [
    {"metadata": {MAIL: "x"}},
    {"provider_options": {"openai": {MAIL: 1}}},
    {"provider_options": {"openai": {"input": [{"type": MAIL}]}}},
    {"tool_choice": {"type": "function", "function": {"name": MAIL}}, **function()},
    {"audio": {"voice": MAIL}},
    {"service_tier": MAIL},
    {"logit_bias": {MAIL: 1}},
    function(name=MAIL),
    {"tools": [{"type": "reference", "schema_id": MAIL}]},
    {"tools": [{"type": "inline_gts", "schema": {"$id": MAIL}}]},
    {
        "tools": [
            {"type": "function", "function": {"name": "send"}, "cache_control": {"type": "ephemeral", "note": MAIL}}
        ]
    },
    {"response_format": {"type": "json_schema", "json_schema": {"name": MAIL}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"const": MAIL}}}},
    {"response_schema": {"properties": {MAIL: True}}},
    call(id=MAIL),
    call(function={"name": MAIL, "arguments": "{}"}),
    {"messages": [{"role": "tool", "content": "Hi", "tool_call_id": MAIL}]},
    part(type="text", text="Hi", cache_control={"type": MAIL}),
    parameters({"enum": [MAIL]}),
    parameters({"const": {"mail": [MAIL]}}),
    parameters({"const": {MAIL: 1}}),
    parameters({"type": MAIL}),
    parameters({"format": MAIL}),
    parameters({"pattern": MAIL}),
    parameters({"x-note": MAIL}),
    parameters({MAIL: 1}),
    parameters({"properties": {MAIL: {"type": "string"}}}),
    parameters({"required": [MAIL]}),
    parameters({"title": {"never": MAIL}}),
    parameters({"properties": {"title": {"enum": [MAIL]}, "default": {"const": MAIL}}}),
    parameters({"dependentRequired": {"a": [MAIL]}}),
]


def chat(members: dict[str, Any]) -> ChatRequest:
    return request(
        *members.get("messages", ["Hi"]), **{name: held for name, held in members.items() if name != "messages"}
    )


@pytest.mark.parametrize("members", [*MASKED, *DROPPED, *REFUSED], ids=str)
def test_a_phrase_is_found_wherever_it_stands(members: dict[str, Any]) -> None:
    assert judge(DENY, "pre_call", chat(members), Masking()).action == "block"
    assert sum(map(len, texts_of(chat(members)))) >= len(MAIL)


@pytest.mark.parametrize("members", MASKED, ids=str)
def test_what_may_be_another_text_is_masked(members: dict[str, Any]) -> None:
    verdict = judge(MASK, "pre_call", chat(members), Masking())
    sent = json.dumps(verdict.subject.body())
    assert verdict.action == "modify"
    assert sent == json.dumps(chat(members).body()).replace(MAIL, "<EMAIL_1>")


@pytest.mark.parametrize("members", DROPPED, ids=str)
def test_a_label_that_would_be_another_is_left_out(members: dict[str, Any]) -> None:
    verdict = judge(MASK, "pre_call", chat(members), Masking())
    sent = json.dumps(verdict.subject.body())
    assert verdict.action == "modify"
    assert (MAIL in sent, "EMAIL" in sent) == (False, False)


@pytest.mark.parametrize("members", REFUSED, ids=str)
def test_what_has_to_stay_as_it_is_does_not_pass(members: dict[str, Any]) -> None:
    verdict = judge(MASK, "pre_call", chat(members), Masking())
    assert verdict.action == "block"
    assert f"'{next(iter(members))}'" in verdict.reason
    assert MAIL not in verdict.reason


COMMON: list[dict[str, Any]] = [{"user": MAIL}, {"metadata": {"a": MAIL}}, {"provider_options": {"x": {"a": MAIL}}}]
FIXED: list[dict[str, Any]] = [{"metadata": {MAIL: "a"}}, {"provider_options": {"x": {MAIL: "a"}}}]


def subject(kind: Any, call: Any, body: dict[str, Any], members: dict[str, Any]) -> Any:
    encoded = json.dumps({"model": "m", **body, **members}).encode()
    return kind(msgspec.json.decode(encoded, type=call), lambda read: msgspec.json.decode(read, type=call))


OTHERS: list[Callable[[dict[str, Any]], Any]] = [
    lambda members: subject(ChatRequest, ChatCall, {"messages": [{"role": "user", "content": "Hi"}]}, members),
    lambda members: subject(EmbeddingsRequest, EmbeddingsCall, {"input": "Hi"}, members),
    lambda members: subject(ImagesRequest, ImagesCall, {"prompt": "Hi"}, members),
    lambda members: subject(SpeechRequest, SpeechCall, {"input": "Hi", "voice": "alloy"}, members),
    lambda members: subject(TranscriptionRequest, TranscriptionCall, {"file": "file_1"}, members),
    lambda members: subject(VideoPrompt, VideoCall, {"prompt": "Hi"}, members),
]


@pytest.mark.parametrize("made", OTHERS)
def test_the_members_that_all_calls_have(made: Callable[[dict[str, Any]], Any]) -> None:
    for members in COMMON:
        assert judge(DENY, "pre_call", made(members), Masking()).action == "block"
        verdict = judge(MASK, "pre_call", made(members), Masking())
        assert verdict.action == "modify"
        assert MAIL not in json.dumps(verdict.subject.body())
    for members in FIXED:
        assert judge(DENY, "pre_call", made(members), Masking()).action == "block"
        assert judge(MASK, "pre_call", made(members), Masking()).action == "block"


@pytest.mark.parametrize("voice", [MAIL, {"id": MAIL}])
def test_a_voice_and_a_size_are_names_too(voice: Any) -> None:
    speech = subject(SpeechRequest, SpeechCall, {"input": "Hi"}, {"voice": voice})
    images = subject(ImagesRequest, ImagesCall, {"prompt": "Hi"}, {"size": MAIL})
    for made in (speech, images):
        assert judge(DENY, "pre_call", made, Masking()).action == "block"
        assert judge(MASK, "pre_call", made, Masking()).action == "block"


def test_a_tool_that_a_reply_calls_is_judged_by_its_name() -> None:
    called = {"id": "call_1", "type": "function", "function": {"name": "joe_example_org", "arguments": "{}"}}
    answer = reply(None, tool_calls=[called])
    assert judge(DENY, "post_response", answer, Masking()).action == "block"


def test_the_words_of_an_api_and_of_json_schema_are_nobodys() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": ["object", "null"],
        "properties": {"a": {"type": "string", "format": "email", "maxLength": 4111111111111111}},
        "additionalProperties": False,
        "required": ["a"],
    }
    members = {
        **function(name="f", parameters=schema),
        "prediction": {"type": "content", "content": "b"},
        "audio": {"voice": "c", "format": "d"},
        "web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "e"}}},
        "logit_bias": {"50256": 1},
    }
    said = request(
        {"role": "user", "content": [{"type": "text", "text": "g", "cache_control": {"type": "ephemeral"}}]}, **members
    )
    assert sorted(texts_of(said)) == ["a", "a", "b", "c", "d", "e", "f", "g"]
    assert judge(SizeHook(id="size", max_prompt_characters=8), "pre_call", said, Masking()).action == "allow"


def test_a_number_that_a_schema_demands_is_read_and_one_that_bounds_is_not() -> None:
    assert list(schema_demands({"enum": [4111111111111111, 5], "const": 4111111111111112, "maximum": 10**9})) == [
        "4111111111111111",
        "4111111111111112",
    ]


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"properties": {"default": {"enum": ["a"]}, "description": {"title": "b"}, "$ref": {"type": "string"}}}
    assert schema_with(schema, str.upper) == {
        "properties": {"default": {"enum": ["a"]}, "description": {"title": "B"}, "$ref": {"type": "string"}}
    }
    assert list(schema_demands(schema)) == ["default", "a", "description", "$ref"]


def test_members_whose_names_become_one_are_both_kept() -> None:
    assert json_with({"a": 1, "b": 2}, lambda _: "x") == {"x": 1, "x_": 2}


def test_ids_of_calls_say_nothing() -> None:
    """Whatever digits a provider makes them of."""
    said = request("Hi", call(id="call_4111111111111111")["messages"][0])
    assert judge(MASK, "pre_call", said, Masking()).action == "allow"
