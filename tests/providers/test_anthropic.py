"""Edges of an Anthropic Messages request that the cases in `tests/providers/anthropic` do not reach."""

from __future__ import annotations

import json

import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import Credential, HttpRequest
from gateway.model.secret import Secret
from gateway.providers.anthropic import PROVIDER
from gateway.providers.contract import Target
from gateway.providers.wire.anthropic_messages import AnthropicMessages
from tests.providers.anthropic_exchange import HELLO, WEATHER, WIRE, Members, call, rendered, target


def test_the_defaults_are_anthropics_own_api() -> None:
    request = WIRE.render(call(stream=True), target())

    assert (request.method, request.url) == ("POST", "https://api.anthropic.com/v1/messages")
    assert request.headers == {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    assert json.loads(request.body) == {
        "model": "claude-test",
        "max_tokens": 4096,
        "messages": HELLO,
        "stream": True,
    }


def test_another_host_is_a_matter_of_parameters() -> None:
    wire = AnthropicMessages(
        path="/models/{model}:rawPredict",
        stream_path="/models/{model}:streamRawPredict",
        version="vertex-2023-10-16",
        version_in_body=True,
        betas_in_body=True,
        model_in_body=False,
        stream_in_body=False,
    )
    hosted = Target("vertex", ModelFacts(id="claude@2025", name="Claude"), "https://host/v1")

    request = wire.render(call(stream=True, provider_options={"vertex": {"betas": ["x-1"]}}), hosted)

    assert request.url == "https://host/v1/models/claude@2025:streamRawPredict"
    assert request.headers == {"content-type": "application/json"}
    assert json.loads(request.body) == {
        "max_tokens": 4096,
        "messages": HELLO,
        "anthropic_version": "vertex-2023-10-16",
        "anthropic_beta": ["x-1"],
    }
    assert wire.render(call(), hosted).url == "https://host/v1/models/claude@2025:rawPredict"


def test_betas_become_a_header() -> None:
    request = WIRE.render(call(provider_options={"anthropic": {"betas": ["a-1", "b-2"]}}), target())

    assert request.headers["anthropic-beta"] == "a-1,b-2"
    assert "betas" not in json.loads(request.body)


def test_the_key_is_the_last_thing_to_enter_a_request() -> None:
    request = HttpRequest("POST", "https://host", {"accept": "*/*"}, b"{}")

    keyed = PROVIDER.authorize(request, Credential(Secret("sk-ant-1")), 0.0)

    assert keyed.headers == {"accept": "*/*", "x-api-key": "sk-ant-1"}
    assert PROVIDER.authorize(request, Credential(Secret("")), 0.0) is request


@pytest.mark.parametrize(
    ("asked", "facts", "limit"),
    [
        ({}, {}, 4096),
        ({}, {"max_output_tokens": 64_000}, 64_000),
        ({"max_tokens": 7}, {"max_output_tokens": 64_000}, 7),
        ({"max_completion_tokens": 8}, {}, 8),
    ],
)
def test_max_tokens_is_never_missing(asked: Members, facts: Members, limit: int) -> None:
    assert rendered(call(**asked), **facts)["max_tokens"] == limit


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"n": 2}, "n"),
        ({"seed": 0}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -0.5}, "frequency_penalty"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key"),
        ({"store": True}, "store"),
        ({"verbosity": "low"}, "verbosity"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"stop": ["END", "\n"]}, "stop"),
        ({"temperature": 1.01}, "temperature"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
        ),
        ({"tools": [WEATHER, {"type": "reference", "schema_id": "gts.x"}]}, "tools[1]"),
        ({"tools": [{"type": "inline_gts", "schema": {}}]}, "tools[0]"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"messages": [{"role": "system", "content": "Only this."}]}, "messages"),
        ({"messages": [{"role": "user", "name": "ann", "content": "x"}]}, "messages[0].name"),
        ({"messages": [*HELLO, {"role": "assistant", "audio": {"id": "a"}}]}, "messages[1].audio"),
    ],
)
def test_what_the_api_cannot_honour_is_refused_by_name(asked: Members, param: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(**asked))

    assert refused.value.param == param


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 1},
        {"logprobs": False},
        {"presence_penalty": 0, "frequency_penalty": 0.0},
        {"logit_bias": {}},
        {"modalities": ["text"]},
        {"store": False},
        {"response_format": {"type": "text"}},
        {"reasoning_effort": "none"},
        {"metadata": {"conversation_id": "c"}},
        {"parallel_tool_calls": False},
    ],
)
def test_asking_for_the_default_changes_nothing(asked: Members) -> None:
    assert rendered(call(**asked)) == rendered(call())


@pytest.mark.parametrize("param", ["temperature", "top_p", "top_k"])
def test_a_model_without_sampling_refuses_it(param: str) -> None:
    assert rendered(call(**{param: 1}))[param] == 1

    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(**{param: 1}), sampling=False)

    assert refused.value.param == param


def test_parameters_in_anthropics_words() -> None:
    body = rendered(call(stop="END", user="u-1", service_tier="default", temperature=1, top_p=0.5, top_k=3))

    assert body["stop_sequences"] == ["END"]
    assert body["metadata"] == {"user_id": "u-1"}
    assert body["service_tier"] == "standard_only"
    assert (body["temperature"], body["top_p"], body["top_k"]) == (1, 0.5, 3)
    assert rendered(call(user="u-1", safety_identifier="s-1"))["metadata"] == {"user_id": "s-1"}


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}, "parallel_tool_calls": False},
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, {"type": "auto", "disable_parallel_tool_use": False}),
    ],
)
def test_tool_choice(asked: Members, choice: Members) -> None:
    assert rendered(call(tools=[WEATHER], **asked))["tool_choice"] == choice


def test_tools_of_the_provider_stand_beside_the_calls_own() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}

    body = rendered(call(tools=[WEATHER], provider_options={"anthropic": {"tools": [search]}}))

    assert [tool["name"] for tool in body["tools"]] == ["weather", "web_search"]


def test_a_tool_always_has_an_object_schema() -> None:
    strict = {"name": "a", "description": "", "parameters": {"properties": {}}, "strict": True}
    mark = {"type": "ephemeral"}
    tools = [
        {"type": "function", "function": strict, "cache_control": mark},
        {"type": "function", "function": {"name": "b", "strict": False}},
    ]

    assert rendered(call(tools=tools))["tools"] == [
        {
            "name": "a",
            "description": "",
            "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
            "strict": True,
            "cache_control": mark,
        },
        {"name": "b", "input_schema": {"type": "object", "properties": {}}},
    ]


def test_provider_options_are_merged_member_by_member_and_last() -> None:
    options = {"thinking": {"display": "summarized"}, "top_k": 5, "output_config": {"task_budget": 1}}

    body = rendered(
        call(reasoning_effort="high", provider_options={"anthropic": options, "openai": {"x": 1}}),
        reasoning_by="effort",
    )

    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "high", "task_budget": 1}
    assert body["top_k"] == 5
    assert "x" not in body


def test_a_model_that_thinks_at_levels_gets_the_level_beside_the_schema() -> None:
    schema = {"type": "object"}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "description": "Why", "schema": schema}}

    body = rendered(call(reasoning_effort="max", response_format=wanted), reasoning_by="effort")

    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {
        "effort": "max",
        "format": {"type": "json_schema", "schema": {"description": "Why", "type": "object"}},
    }


@pytest.mark.parametrize(
    ("effort", "limit", "budget"),
    [
        ("minimal", 10_000, 1024),
        ("low", 10_000, 2000),
        ("medium", 10_000, 5000),
        ("max", 10_000, 9500),
        ("max", 1025, 1024),
    ],
)
def test_a_model_that_thinks_by_budget_gets_a_part_of_the_output(effort: str, limit: int, budget: int) -> None:
    body = rendered(call(reasoning_effort=effort, max_tokens=limit), reasoning_by="budget")

    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert budget < limit


@pytest.mark.parametrize(
    ("effort", "limit", "facts"),
    [
        ("low", 1024, {"reasoning_by": "budget"}),
        ("minimal", 9000, {"reasoning_by": "effort"}),
        ("xhigh", 9000, {"reasoning_by": "effort", "reasoning_efforts": ("low", "high")}),
    ],
)
def test_thinking_that_the_model_cannot_do_is_refused(effort: str, limit: int, facts: Members) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        rendered(call(reasoning_effort=effort, max_tokens=limit), **facts)

    assert refused.value.param == "reasoning_effort"


def test_no_effort_switches_thinking_off() -> None:
    assert rendered(call(reasoning_effort="none"), reasoning_by="effort")["thinking"] == {"type": "disabled"}
