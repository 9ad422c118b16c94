"""What Amazon Bedrock is asked: who asks, for which model, and what the models of different makers are told."""

from __future__ import annotations

import datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import Credential, HttpRequest
from gateway.model.provider_errors import ProviderError
from gateway.model.secret import AwsKeys, Secret
from gateway.providers.bedrock import PROVIDER
from gateway.providers.contract import base_url_of
from tests.providers.bedrock_exchange import BASE_URL, HELLO, WEATHER, WIRE, call, rendered, target

KEYS = AwsKeys("AKID", Secret("secret"), Secret("token"))
NO_KEY = Secret("")
NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
CLAUDE = {"dialect": "anthropic"}
NOVA = {"dialect": "nova"}


def authorized(url: str, credential: Credential) -> HttpRequest:
    request = HttpRequest("POST", url, {"content-type": "application/json"}, b"{}")
    return PROVIDER.authorize(request, credential, NOW.timestamp())


def test_an_api_key_goes_before_keys_of_the_role() -> None:
    sent = authorized(BASE_URL, Credential(Secret("bedrock-api-key-1"), aws_keys=KEYS))
    assert sent.headers["authorization"] == "Bearer bedrock-api-key-1"


@pytest.mark.parametrize(
    ("host", "settings", "region"),
    [
        ("https://bedrock-runtime.us-west-2.amazonaws.com", {"region": "eu-west-1"}, "us-west-2"),
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", {}, "us-gov-west-1"),
        ("https://vpce-1-2.bedrock-runtime.eu-north-1.vpce.amazonaws.com", {}, "eu-north-1"),
        ("http://127.0.0.1:9100/bedrock", {"region": "ap-south-1"}, "ap-south-1"),
    ],
)
def test_the_signature_is_botocores_for_the_endpoints_region(host: str, settings: dict[str, str], region: str) -> None:
    url = f"{host}/model/anthropic.claude-v2%3A1/converse"
    sent = authorized(url, Credential(NO_KEY, aws_keys=KEYS, settings=settings))
    theirs = AWSRequest("POST", url, headers={"content-type": "application/json"}, data=b"{}")
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        SigV4Auth(Credentials("AKID", "secret", "token"), "bedrock", region).add_auth(theirs)
    assert sent.headers["authorization"] == theirs.headers["Authorization"]
    assert sent.headers["x-amz-security-token"] == "token"


def test_without_any_key_nothing_is_sent() -> None:
    with pytest.raises(ProviderError, match="No credential"):
        authorized(BASE_URL, Credential(NO_KEY))
    with pytest.raises(ProviderError, match="'region' is missing"):
        authorized("http://127.0.0.1:9100", Credential(NO_KEY, aws_keys=KEYS))


def test_the_endpoint_is_the_regions_unless_the_owner_names_one() -> None:
    assert base_url_of(PROVIDER, Credential(NO_KEY, settings={"region": "eu-west-1"})) == BASE_URL
    assert base_url_of(PROVIDER, Credential(NO_KEY, "https://vpce.example/", settings={})) == "https://vpce.example"
    with pytest.raises(ProviderError, match="'region' is missing"):
        base_url_of(PROVIDER, Credential(NO_KEY))


@pytest.mark.parametrize(
    ("members", "facts", "param"),
    [
        ({"n": 2}, {}, "n"),
        ({"seed": 1}, {}, "seed"),
        ({"presence_penalty": 0.5}, {}, "presence_penalty"),
        ({"logprobs": True}, {}, "logprobs"),
        ({"store": True}, {}, "store"),
        ({"verbosity": "low"}, {}, "verbosity"),
        ({"modalities": ["text", "audio"]}, {}, "modalities"),
        ({"temperature": 1.5}, {}, "temperature"),
        ({"temperature": 0.5}, {"sampling": False}, "temperature"),
        ({"top_k": 5}, {}, "top_k"),
        ({"top_k": 5}, {**CLAUDE, "sampling": False}, "top_k"),
        ({"service_tier": "scale"}, {}, "service_tier"),
        ({"response_format": {"type": "json_object"}}, {}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            {},
            "response_format.json_schema.schema",
        ),
        ({"parallel_tool_calls": False, "tools": [WEATHER]}, NOVA, "parallel_tool_calls"),
        ({"tools": [{"type": "reference", "schema_id": "gts.x.y.z.v1~"}]}, {}, "tools[0]"),
        ({"reasoning_effort": "low"}, {}, "reasoning_effort"),
        ({"reasoning_effort": "low"}, {"reasoning_by": "effort"}, "reasoning_effort"),
        ({"reasoning_effort": "minimal"}, {**CLAUDE, "reasoning_by": "effort"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "max_tokens": 1024}, {**CLAUDE, "reasoning_by": "budget"}, "reasoning_effort"),
        ({"reasoning_effort": "max"}, {**NOVA, "reasoning_by": "effort"}, "reasoning_effort"),
        ({"reasoning_effort": "high", "max_tokens": 10}, {**NOVA, "reasoning_by": "effort"}, "max_tokens"),
        ({"reasoning_effort": "high", "top_k": 10}, {**NOVA, "reasoning_by": "effort"}, "top_k"),
        ({"reasoning_effort": "none"}, {"dialect": "openai", "reasoning_by": "effort"}, "reasoning_effort"),
        ({"provider_options": {"bedrock": {"messages": []}}}, {}, "provider_options.bedrock.messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, {}, "messages"),
        ({"messages": [{"role": "user", "content": "x", "name": "Eve"}]}, {}, "messages[0].name"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(members: dict[str, Any], facts: dict[str, Any], param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        WIRE.render(call(**members), target(**facts))
    assert refused.value.param == param


def test_what_asks_for_nothing_passes() -> None:
    asked = {"n": 1, "presence_penalty": 0, "logit_bias": {}, "logprobs": False, "store": False, "service_tier": "auto"}
    quiet = {"reasoning_effort": "none", "parallel_tool_calls": False, "tool_choice": "auto", "user": "u"}
    assert rendered(call(**asked, **quiet)) == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


@pytest.mark.parametrize(
    ("effort", "facts", "fields"),
    [
        (
            "high",
            {**CLAUDE, "reasoning_by": "effort", "reasoning_efforts": ("low", "high")},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (
            "low",
            {**NOVA, "reasoning_by": "effort"},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
        ),
        ("low", {"dialect": "openai", "reasoning_by": "effort"}, {"reasoning_effort": "low"}),
    ],
)
def test_each_maker_is_told_in_its_own_words_how_much_to_reason(
    effort: str, facts: dict[str, Any], fields: dict[str, Any]
) -> None:
    body = rendered(call(reasoning_effort=effort), **facts)
    assert body["additionalModelRequestFields"] == fields
    assert "inferenceConfig" not in body


@pytest.mark.parametrize(("asked", "limit", "budget"), [({}, 4096, 2048), ({"max_tokens": 1500}, 1500, 1024)])
def test_a_budget_is_a_part_of_a_limit_that_is_then_sent(asked: dict[str, Any], limit: int, budget: int) -> None:
    body = rendered(call(reasoning_effort="medium", **asked), **CLAUDE, reasoning_by="budget")
    assert body["inferenceConfig"] == {"maxTokens": limit}
    thinking = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    assert body["additionalModelRequestFields"] == thinking


@pytest.mark.parametrize(
    ("choice", "config", "fields"),
    [
        (None, {}, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        ("auto", {}, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        ("required", {"toolChoice": {"any": {}}}, {"tool_choice": {"disable_parallel_tool_use": True}}),
    ],
)
def test_one_call_at_a_time_is_said_once(choice: str | None, config: dict[str, Any], fields: dict[str, Any]) -> None:
    body = rendered(call(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False), **CLAUDE)
    assert body["toolConfig"] == {"tools": body["toolConfig"]["tools"], **config}
    assert body["additionalModelRequestFields"] == fields


def test_no_tool_is_to_be_called() -> None:
    assert "toolConfig" not in rendered(call(tools=[WEATHER], tool_choice="none"))


def test_options_may_bring_the_tools_that_a_conversation_used() -> None:
    used = {"id": "t", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [used]},
        {"role": "tool", "tool_call_id": "t", "content": ""},
    ]
    options = {"bedrock": {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}}
    assert rendered(call(messages=messages, provider_options=options))["toolConfig"] == options["bedrock"]["toolConfig"]


@pytest.mark.parametrize("members", [{}, {"tools": [WEATHER], "tool_choice": "none"}])
def test_without_tools_what_they_did_is_told_in_words(members: dict[str, Any]) -> None:
    used = {"id": "t", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}}
    result = {"role": "tool", "tool_call_id": "t", "content": [{"type": "text", "text": "Rain"}, picture]}
    messages = [*HELLO, {"role": "assistant", "content": "Let me see.", "tool_calls": [used]}, result, *HELLO]
    body = rendered(call(messages=messages, **members))
    assert "toolConfig" not in body
    assert body["messages"][1]["content"] == [{"text": "Let me see."}, {"text": '[Called weather: {"city": "Oslo"}]'}]
    told, shown, asked = body["messages"][2]["content"]
    assert (told, list(shown), asked) == ({"text": "[weather gave: Rain]"}, ["image"], {"text": "Hello"})


def test_reasoning_that_is_on_is_turned_off() -> None:
    asked, facts = call(reasoning_effort="none"), {**CLAUDE, "reasoning_by": "effort"}
    off = {"thinking": {"type": "disabled"}}
    assert rendered(asked, **facts, reasons="unless_told")["additionalModelRequestFields"] == off
    assert "additionalModelRequestFields" not in rendered(asked, **facts, reasons="when_asked")
