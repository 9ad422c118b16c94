"""OpenAI's responses as chat: a turn goes back as it came, and nothing that was asked for is dropped."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.chat import AssistantMessage
from gateway.model.errors import CapabilityNotSupported
from gateway.providers.contract import ONE_CALL
from gateway.providers.lookup import provider_named
from gateway.providers.wire.lacking import NEUTRAL
from gateway.providers.wire.openai_responses import STANDARD, OpenAiResponses
from tests.providers.responses_exchange import (
    HELLO,
    PICTURE,
    SEARCH,
    Members,
    call,
    function_call,
    message,
    parsed,
    reasoning,
    rendered,
    said,
    streamed,
    target,
)

ENCRYPTED = "reasoning.encrypted_content"
VALUES: Members = {
    "top_k": 5,
    "n": 2,
    "stop": "x",
    "seed": 1,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"1": 1},
    "modalities": ["audio"],
    "audio": {"voice": "v"},
    "prediction": {"type": "content"},
    "store": True,
    "service_tier": "flex",
    "verbosity": "high",
    "safety_identifier": "s",
    "metadata": {"a": "b"},
    "logprobs": True,
    "top_logprobs": 3,
    "web_search_options": {},
}
LACKS = {
    "openai": (
        *("top_k", "n", "stop", "seed", "presence_penalty", "frequency_penalty"),
        *("logit_bias", "modalities", "audio", "prediction"),
    ),
    "xai": ("metadata", "service_tier", "verbosity", "safety_identifier", "logprobs", "web_search_options", "stop"),
    "openrouter": ("store", "logprobs", "n", "stop", "seed"),
}
OUTPUTS = {
    "text": [message("Lima")],
    "reasoning then text": [reasoning("a"), message("Lima")],
    "phases": [message("Let me see.", phase="commentary"), reasoning("a"), message("Lima", phase="final_answer")],
    "two messages": [message("Li"), message("ma")],
    "reasoning then calls": [reasoning("a"), function_call("1"), function_call("2")],
    "reasoning between calls": [reasoning("a"), function_call("1"), reasoning("b"), function_call("2")],
    "text after a call": [function_call("1"), message("Wait")],
    "own tools": [reasoning("a"), SEARCH, reasoning("b"), message("Lima"), SEARCH],
    "pictures": [PICTURE, message("Here"), {**PICTURE, "id": "ig_2", "result": "UklGRg=="}],
}


def _as_input(item: Members) -> Members:
    """What has to come back of an output item."""
    if item["type"] == "message":
        phase = {"phase": item["phase"]} if "phase" in item else {}
        return {"role": "assistant", "content": said(item), **phase}
    if item["type"] == "function_call":
        return {name: item[name] for name in ("type", "call_id", "name", "arguments")}
    return item


@pytest.mark.parametrize("read", [parsed, streamed])
@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_a_turn_goes_back_as_it_came(output: list[Members], read: Any) -> None:
    sent_to_client = msgspec.json.encode(read(output).choices[0].message)
    turn = json.loads(sent_to_client)

    back = rendered(call(messages=[*HELLO, turn, {"role": "user", "content": "Go on"}]))["input"][1:-1]

    assert json.dumps(back) == json.dumps([_as_input(item) for item in output])


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_a_stream_means_the_same_as_the_whole(output: list[Members]) -> None:
    assert streamed(output) == parsed(output)


def test_reasoning_that_nobody_keeps_does_not_go_back() -> None:
    bare = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert parsed([bare]).choices[0].message.reasoning_details is None
    assert parsed([bare], store=True).choices[0].message.reasoning_details is None


def test_reasoning_of_another_account_stays_out() -> None:
    """Both speak this API, and each refuses what the other has encrypted."""
    turn = json.loads(msgspec.json.encode(parsed([reasoning("a"), message("Lima")]).choices[0].message))

    messages = [*HELLO, turn, {"role": "user", "content": "Go on"}]

    assert rendered(call(messages=messages), "xai")["input"][1] == {"role": "assistant", "content": "Lima"}


def test_an_edited_turn_is_sent_as_edited() -> None:
    """A client may shorten, or drop, what it sends back."""
    given = parsed([message("Let me see.", phase="commentary"), reasoning("a"), function_call("1")]).choices[0].message
    edited = msgspec.convert(
        {**msgspec.to_builtins(given), "role": "assistant", "content": "Let", "tool_calls": None}, AssistantMessage
    )

    back = rendered(msgspec.structs.replace(call(), messages=[edited]))["input"]

    assert back == [{"role": "assistant", "content": "Let", "phase": "commentary"}, reasoning("a")]


@pytest.mark.parametrize(("provider", "name"), [(provider, name) for provider in LACKS for name in LACKS[provider]])
def test_what_the_api_lacks_is_refused_by_name(provider: str, name: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(**{name: VALUES[name]}), provider)
    assert refused.value.param == {"metadata": "metadata.a"}.get(name, name)


def test_every_lack_is_tried() -> None:
    assert set(LACKS["openai"]) == STANDARD.lacks


@pytest.mark.parametrize("provider", ["openai", "xai", "openrouter"])
def test_asking_for_what_happens_anyway_is_no_refusal(provider: str) -> None:
    quirks = getattr(provider_named(provider).wires["responses"], "quirks", STANDARD)
    neutral = {name: NEUTRAL[name][0] for name in quirks.lacks & NEUTRAL.keys()}

    body = rendered(call(**neutral), provider)

    assert body.keys() == {"model", "input", "store"}


@pytest.mark.parametrize(
    ("facts", "members", "include"),
    [
        ({"reasoning_by": "effort"}, {}, [ENCRYPTED]),
        ({"capabilities": ("reasoning",)}, {}, [ENCRYPTED]),
        ({"reasoning_by": "effort"}, {"store": True}, [ENCRYPTED]),
        ({}, {}, None),
        ({}, {"provider_options": {"openai": {"include": ["x"]}}}, ["x"]),
        ({"reasoning_by": "effort"}, {"provider_options": {"openai": {"include": ["x", ENCRYPTED]}}}, [ENCRYPTED, "x"]),
    ],
)
def test_encrypted_reasoning_is_asked_for(facts: Members, members: Members, include: list[str] | None) -> None:
    assert rendered(call(**members), **facts).get("include") == include


@pytest.mark.parametrize(
    ("member", "value", "param"),
    [
        ("name", "n", "messages[0].name"),
        ("audio", {"id": "a"}, "messages[0].audio"),
        ("prefix", True, "messages[0].prefix"),
        ("content", [{"type": "image", "url": "https://x.example/a.png"}], "messages[0].content[0]"),
        ("content", [{"type": "text", "text": "x", "cache_control": {}}], "messages[0].content[0]"),
    ],
)
def test_what_an_assistant_message_cannot_hold(member: str, value: Any, param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(messages=[{"role": "assistant", member: value}]))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "video", "url": "https://x.example/a.mp4"}, "messages[0].content[0]"),
        ({"type": "audio", "url": "data:audio/mpeg;base64,AAAA"}, "messages[0].content[0]"),
        ({"type": "text", "text": "x", "cache_control": {}}, "messages[0].content[0].cache_control"),
    ],
)
def test_what_a_user_message_cannot_hold(part: Members, param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(messages=[{"role": "user", "content": [part]}]))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": [{"role": "user", "name": "Ann", "content": "Hello"}]}, "messages[0].name"),
        ({"tools": [{"type": "inline_gts", "schema": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "f"}, "cache_control": {}}]}, "tools[0].cache_control"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
    ],
)
def test_what_xai_cannot_hold(members: Members, param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(**members), "xai")
    assert refused.value.param == param


def test_a_format_that_a_host_lacks_is_refused() -> None:
    wire = OpenAiResponses(replace(STANDARD, formats=frozenset({"text"})))
    with pytest.raises(CapabilityNotSupported) as refused:
        wire.render(call(response_format={"type": "json_object"}), target())
    assert refused.value.param == "response_format.type"
    assert wire.formats(call(), target().model) == {"text", ONE_CALL}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"stream": False, "tool_choice": "required"}, {"stream": False, "tool_choice": "required"}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"stream": True, "stream_options": {"include_obfuscation": False}}, {"stream": True}),
    ],
)
def test_what_is_said_the_same_way(members: Members, expected: Members) -> None:
    body = rendered(call(**members), "xai")
    assert {name: body[name] for name in body.keys() - {"model", "input", "store"}} == expected


def test_a_call_that_is_named_twice_goes_back_once_each() -> None:
    twins = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}] * 2
    details = [{"type": "responses.call", "provider": "openai", "id": name} for name in ("a", "unknown")]

    back = rendered(call(messages=[{"role": "assistant", "tool_calls": twins, "reasoning_details": details}]))["input"]

    assert [item["call_id"] for item in back] == ["a", "a"]


@pytest.mark.parametrize("name", ["model", "input", "stream", "background", "previous_response_id", "prompt"])
def test_options_do_not_lead_around_the_gateway(name: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(provider_options={"openai": {name: "x"}}))
    assert refused.value.param == f"provider_options.openai.{name}"


def test_xai_knows_no_developer_and_names_its_price() -> None:
    body = rendered(call(messages=[{"role": "developer", "content": "Be brief."}, *HELLO]), "xai")
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cost_in_usd_ticks": 10_431_000}

    assert body["input"][0] == {"role": "system", "content": "Be brief."}
    assert parsed([], "xai", usage=usage).extra == {"cost_usd": 0.0010431}


def test_openrouter_takes_more() -> None:
    body = rendered(call(top_k=5, presence_penalty=0.5, modalities=["image"]), "openrouter")

    assert (body["top_k"], body["presence_penalty"], body["modalities"]) == (5, 0.5, ["image"])
    with pytest.raises(CapabilityNotSupported):
        rendered(call(provider_options={"openrouter": {"models": ["x"]}}), "openrouter")
