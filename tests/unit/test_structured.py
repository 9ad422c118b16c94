"""Structured output, whichever way it is asked for: native, by tool, by prompt; whole and streamed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from gateway.model.chat import ChatCall, JsonObjectFormat, JsonSchemaFormat
from gateway.model.errors import InvalidRequest, ReplyBreaksSchema
from gateway.model.json_schema import is_strict, text_violations
from gateway.pipeline.route import ChatRoute, Route
from gateway.pipeline.structured import expect
from gateway.providers.lookup import provider_named
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import FIGURES, HELLO, event

LOOSE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city"],
}
STRICT = {**LOOSE, "required": ["city", "people"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "f"}}
FORCED: dict[str, Any] = {"tools": [TOOL], "tool_choice": "required"}
GOOD, BAD = '{"city": "Paris", "people": 2}', '{"city": 5, "people": "two"}'


@dataclass(frozen=True)
class Way:
    """A model that is asked this way."""

    provider: str
    capabilities: tuple[str, ...]
    schema: dict[str, Any]


WAYS = {
    "native": Way("openai", ("structured_output", "tools", "streaming"), LOOSE),
    "tool": Way("deepseek", ("tools", "streaming"), LOOSE),
    "prompt": Way("openai", ("streaming",), LOOSE),
}


def route_of(way: Way) -> ChatRoute:
    facts = msgspec.structs.replace(FACTS, source="https://example.org", capabilities=way.capabilities)
    provider = provider_named(way.provider)
    return Route(provider, facts, provider.wires["chat_completions"])


def call_with(**members: Any) -> ChatCall:
    return msgspec.convert({**HELLO, **members}, ChatCall)


@pytest.mark.parametrize("way", WAYS)
def test_a_schema_is_asked_for_in_the_best_way_the_model_has(way: str) -> None:
    asked, expectation = expect(call_with(response_schema=WAYS[way].schema), route_of(WAYS[way]))
    assert expectation is not None
    assert expectation.way == way
    assert isinstance(asked.response_format, JsonSchemaFormat) is (way == "native")
    assert bool(asked.tools) is (way == "tool")
    assert (len(asked.messages) > 1) is (way == "prompt")


def test_a_wire_that_takes_closed_schemas_only_is_given_others_by_tool() -> None:
    provider = provider_named("anthropic")
    facts = msgspec.structs.replace(FACTS, source="x", capabilities=("structured_output", "tools"))
    route = Route(provider, facts, provider.wires["messages"])
    schemas = (STRICT, LOOSE, {**LOOSE, "additionalProperties": {"type": "string"}})
    ways = [expect(call_with(response_schema=schema), route)[1] for schema in schemas]
    assert [way.way for way in ways if way] == ["native", "native", "tool"]


@pytest.mark.parametrize(
    ("facts", "effort", "way"),
    [
        ({"reasons": "when_asked", "forced_tools": "without_reasoning"}, None, "tool"),
        ({"reasons": "when_asked", "forced_tools": "without_reasoning"}, "low", "prompt"),
        ({"reasons": "unless_told", "forced_tools": "without_reasoning"}, None, "prompt"),
        ({"reasons": "unless_told", "forced_tools": "without_reasoning"}, "none", "tool"),
        ({"reasons": "always", "forced_tools": "always"}, "high", "tool"),
        ({}, None, "prompt"),
        ({}, "none", "tool"),
    ],
)
def test_no_tool_is_forced_on_a_model_that_may_reason(facts: dict[str, Any], effort: str | None, way: str) -> None:
    """Claude and DeepSeek answer 400: https://github.com/deepseek-ai/DeepSeek-V3/issues/1376"""
    model = msgspec.structs.replace(FACTS, source="x", capabilities=("tools", "reasoning"), **facts)
    route = Route(provider_named("deepseek"), model, provider_named("deepseek").wires["chat_completions"])
    asked, expectation = expect(call_with(response_schema=LOOSE, reasoning_effort=effort), route)
    assert expectation is not None
    assert expectation.way == way
    assert isinstance(asked.response_format, JsonObjectFormat) is (way == "prompt")  # all the words DeepSeek has


@pytest.mark.parametrize(
    ("provider", "api", "facts", "members", "way"),
    [
        ("groq", "chat_completions", {}, {}, "native"),
        ("groq", "chat_completions", {}, {"stream": True}, "tool"),
        ("groq", "chat_completions", {}, {"tools": [TOOL]}, "prompt"),
        ("google", "generate_content", {"reasoning_by": "budget"}, {}, "native"),
        ("google", "generate_content", {"reasoning_by": "budget"}, {"tools": [TOOL]}, "prompt"),
        ("google", "generate_content", {"reasoning_by": "effort"}, {"tools": [TOOL]}, "native"),
        ("google", "generate_content", {"reasoning_by": "effort"}, FORCED, "prompt"),
        ("vertex", "generate_content", {"reasoning_by": "budget"}, {"tools": [TOOL]}, "prompt"),
        ("cohere", "cohere_chat", {}, {"tools": [TOOL]}, "prompt"),
        ("openai", "chat_completions", {}, {"tools": [TOOL], "stream": True}, "native"),
        ("anthropic", "messages", {}, {"tools": [TOOL], "stream": True}, "native"),
    ],
)
def test_a_format_that_a_provider_does_not_combine_is_asked_for_in_another_way(
    provider: str, api: str, facts: dict[str, Any], members: dict[str, Any], way: str
) -> None:
    known = msgspec.structs.replace(FACTS, source="x", capabilities=("structured_output", "tools"), **facts)
    route = Route(provider_named(provider), known, provider_named(provider).wires[api])
    asked, expectation = expect(call_with(response_schema=STRICT, **members), route)
    assert expectation is not None
    assert expectation.way == way
    assert isinstance(asked.response_format, JsonSchemaFormat) is (way == "native")
    if way == "prompt":
        assert ("Call tools as you need them" in str(asked.messages[0].content)) is bool(asked.tools)


@pytest.mark.parametrize(("provider", "api"), [("anthropic", "messages"), ("bedrock", "converse")])
def test_a_decoder_is_not_asked_for_bounds_which_the_reply_is_held_to_all_the_same(provider: str, api: str) -> None:
    """Anthropic answers 400 to them: https://github.com/agentjido/req_llm/issues/302"""
    facts = msgspec.structs.replace(FACTS, source="x", capabilities=("structured_output", "tools"))
    route = Route(provider_named(provider), facts, provider_named(provider).wires[api])
    bounded = {
        **STRICT,
        "properties": {"city": {"type": "string", "minLength": 2}, "people": {"type": "integer", "minimum": 1}},
    }
    asked, expectation = expect(call_with(response_schema=bounded), route)
    assert expectation is not None
    assert isinstance(asked.response_format, JsonSchemaFormat)
    sent = asked.response_format.json_schema.schema or {}
    assert [set(part) for part in sent["properties"].values()] == [{"type", "description"}] * 2
    assert expectation.way == "native"
    with pytest.raises(ReplyBreaksSchema) as broken:
        expectation.check_text('{"city": "P", "people": 0}')
    assert len(broken.value.details) == 2


@pytest.mark.parametrize(
    ("provider", "api", "schema", "way"),
    [
        ("openai", "chat_completions", {"type": "array", "items": STRICT}, "prompt"),
        ("openai", "responses", {"anyOf": [STRICT, LOOSE]}, "prompt"),
        ("openai", "chat_completions", {"$ref": "#/$defs/a", "$defs": {"a": STRICT}}, "native"),
        ("google", "generate_content", {"type": "array", "items": STRICT}, "native"),
    ],
)
def test_a_value_that_is_no_object_is_asked_for_where_it_can_be(
    provider: str, api: str, schema: dict[str, Any], way: str
) -> None:
    """OpenAI: "Root objects must not be anyOf and must be an object"."""
    facts = msgspec.structs.replace(FACTS, source="x", capabilities=("structured_output", "tools"))
    route = Route(provider_named(provider), facts, provider_named(provider).wires[api])
    _, expectation = expect(call_with(response_schema=schema), route)
    assert expectation is not None
    assert expectation.way == way


def test_a_client_with_tools_of_its_own_is_asked_by_prompt() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    _, expectation = expect(call_with(response_schema=LOOSE, tools=[tool]), route_of(WAYS["tool"]))
    assert expectation is not None
    assert expectation.way == "prompt"


@pytest.mark.parametrize("spelling", [LOOSE, {"json_schema": LOOSE}])
def test_both_spellings_of_a_response_schema(spelling: dict[str, Any]) -> None:
    asked, _ = expect(call_with(response_schema=spelling), route_of(WAYS["native"]))
    assert isinstance(asked.response_format, JsonSchemaFormat)
    assert asked.response_format.json_schema.schema == LOOSE


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"response_schema": {"type": "objekt"}}, "response_schema.type"),
        ({"response_schema": {"json_schema": "x"}}, "response_schema.json_schema"),
        ({"response_schema": {"json_schema": {"type": 5}}}, "response_schema.json_schema.type"),
        ({"response_schema": {"anyOf": [{"$ref": "#"}]}}, "response_schema"),
        ({"response_schema": {"type": "object", "required": 5}}, "response_schema.required"),
        ({"response_schema": {"type": "object", "required": [{}]}}, "response_schema.required[0]"),
        ({"response_schema": {"$defs": None}}, "response_schema.$defs"),
        ({"response_schema": {"pattern": "a{99999999999}"}}, "response_schema.pattern"),
        ({"response_schema": {"pattern": "(a+)+$"}}, "response_schema.pattern"),
        (
            {"response_schema": {"properties": {"a": {"pattern": "^(\\w+\\s?)*$"}}}},
            "response_schema.properties.a.pattern",
        ),
        ({"response_schema": {"$ref": "#/title", "title": "x"}}, "response_schema.$ref"),
        ({"response_schema": LOOSE, "response_format": {"type": "json_object"}}, "response_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {"type": 5}}}}},
            "response_format.json_schema.schema.not.type",
        ),
    ],
)
def test_a_schema_that_is_none_is_refused_by_its_place(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        expect(call_with(**members), route_of(WAYS["native"]))
    assert caught.value.param == param


def set_up(gateway: Gateway, way: str, text: str, stream: bool) -> None:
    """The only model of the gateway becomes one that is asked this way, and its provider says `text`."""
    models = gateway.world.catalog.held["openai"]  # type: ignore[attr-defined]
    capabilities = WAYS[way].capabilities
    models["gpt-4o"] = msgspec.structs.replace(FACTS, source="x", capabilities=capabilities, api="chat_completions")
    if way == "tool":
        models["gpt-4o"] = msgspec.structs.replace(models["gpt-4o"], capabilities=("tools", "streaming"))
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "reply", "arguments": text}}
    if stream:
        halves = [text[:7], text[7:]]
        pieces = [
            event({"tool_calls": [{**call, "function": {"name": "reply", "arguments": halves[0]}}]}),
            event({"tool_calls": [{"index": 0, "function": {"arguments": halves[1]}}]}),
        ]
        words = [event({"content": half}) for half in halves]
        end = event({}, "tool_calls" if way == "tool" else "stop")
        final = b"data: " + json.dumps(FIGURES).encode() + b"\n\ndata: [DONE]\n\n"
        gateway.answers(200, *(pieces if way == "tool" else words), end, final)
        return
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if way == "tool":
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    finish = "tool_calls" if way == "tool" else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    gateway.answers(200, json.dumps({**FIGURES, "choices": [choice]}).encode())


@pytest.mark.parametrize("way", WAYS)
async def test_a_good_reply_is_content_whichever_way_it_came(gateway: Gateway, way: str) -> None:
    set_up(gateway, way, GOOD, stream=False)
    choice = (await gateway.chat({**HELLO, "response_schema": LOOSE})).json["choices"][0]
    assert (json.loads(choice["message"]["content"]), choice["finish_reason"]) == (json.loads(GOOD), "stop")
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_bad_reply_is_422_with_every_violation_raw_text_and_usage(gateway: Gateway, way: str) -> None:
    set_up(gateway, way, BAD, stream=False)
    answer = await gateway.chat({**HELLO, "response_schema": LOOSE})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["stage"], error["raw_text"]) == (
        422,
        "validation_error",
        "response",
        BAD,
    )
    assert {detail["pointer"] for detail in error["details"]} == {"/city", "/people"}
    assert error["usage"]["total_tokens"] == 12
    assert answer.headers["x-should-retry"] == "false"
    assert gateway.records.written[0].cost_nano_usd == 52_500


@pytest.mark.parametrize("way", WAYS)
async def test_a_good_stream_passes_as_content(gateway: Gateway, way: str) -> None:
    set_up(gateway, way, GOOD, stream=True)
    *chunks, done = (await gateway.chat({**HELLO, "response_schema": LOOSE, "stream": True})).events
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == GOOD
    assert (chunks[-1]["choices"][0]["finish_reason"], done) == ("stop", "[DONE]")


@pytest.mark.parametrize("way", WAYS)
async def test_a_bad_stream_ends_with_an_error_event(gateway: Gateway, way: str) -> None:
    set_up(gateway, way, BAD, stream=True)
    *chunks, last = (await gateway.chat({**HELLO, "response_schema": LOOSE, "stream": True})).events
    assert len(last["error"]["details"]) == 2
    assert last["error"]["usage"]["total_tokens"] == 12
    assert all("usage" not in chunk for chunk in chunks)


async def test_a_refusal_is_an_answer_not_a_violation(gateway: Gateway) -> None:
    set_up(gateway, "native", GOOD, stream=False)
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "refusal": "No."}, "finish_reason": "stop"}
    gateway.answers(200, json.dumps({**FIGURES, "choices": [choice]}).encode())
    answer = await gateway.chat({**HELLO, "response_schema": LOOSE})
    assert (answer.status, answer.json["choices"][0]["message"]["refusal"]) == (200, "No.")


async def test_a_json_object_is_held_to_being_one(gateway: Gateway) -> None:
    set_up(gateway, "native", "[1]", stream=False)
    answer = await gateway.chat({**HELLO, "response_format": {"type": "json_object"}})
    assert answer.json["error"]["details"][0]["reason"] == "[1] is not of type 'object'"


def test_a_remote_reference_is_never_fetched() -> None:
    (violation,) = text_violations("{}", {"$ref": "http://127.0.0.1:1/schema.json"})
    assert "refers to what it does not have" in violation.reason


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (STRICT, True),
        (LOOSE, False),
        ({"type": "object"}, False),
        ({**STRICT, "properties": {"city": {"type": "array", "items": STRICT}, "people": {"type": "null"}}}, True),
        ({"type": "array", "items": STRICT}, False),
        ({"type": "array", "items": LOOSE}, False),
        ({**STRICT, "properties": {"city": LOOSE, "people": {"type": "integer"}}}, False),
        ({**STRICT, "properties": {"city": {"anyOf": [STRICT, {"type": "null"}]}, "people": {"minimum": 1}}}, True),
        ({"anyOf": [STRICT, {"type": "null"}]}, False),
        ({**STRICT, "properties": {"city": {"minLength": 1}, "people": {}}}, False),
        ({**STRICT, "properties": {"city": {"format": "uri"}, "people": {}}}, False),
        ({**STRICT, "allOf": [{"type": "object"}]}, False),
        ({**STRICT, "$defs": {"inner": LOOSE}}, False),
    ],
)
def test_strict_means_closed_and_complete_all_the_way_down(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict


@pytest.mark.parametrize("levels", [150, 450])
@pytest.mark.parametrize("member", ["response_schema", "response_format"])
def test_a_schema_without_bottom_is_refused(levels: int, member: str) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    named = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(InvalidRequest):
        expect(call_with(**{member: schema if member == "response_schema" else named}), route_of(WAYS["native"]))


def test_a_number_beyond_all_bounds_is_a_violation_not_a_defect() -> None:
    (violation,) = text_violations("1" + "0" * 320, {"multipleOf": 0.1})
    assert "cannot be held against" in violation.reason


def test_violations_do_not_repeat_a_long_reply() -> None:
    reply = json.dumps("x" * 200_000)
    found = text_violations(reply, {"allOf": [{"maxLength": 1}] * 200})
    assert len(found) == 100
    assert sum(len(violation.reason) for violation in found) < 100_000


def test_the_description_of_a_schema_reaches_the_tool() -> None:
    named = {"name": "x", "schema": LOOSE, "description": "A city."}
    asked, _ = expect(call_with(response_format={"type": "json_schema", "json_schema": named}), route_of(WAYS["tool"]))
    assert asked.tools is not None
    assert "A city." in str(asked.tools[0])
