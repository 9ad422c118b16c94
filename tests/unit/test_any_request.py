"""Whatever a client sends to chat, for whichever provider: a refusal in our shape, and never a defect."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.adapters.catalog import FileCatalog
from gateway.model.http import Credential
from gateway.model.secret import Secret
from gateway.model.tenant import Tenant
from local.places import REPOSITORY
from tests.asgi import Answer
from tests.fakes import MemoryCredentials, principal
from tests.unit.conftest import Gateway

MODELS = [
    *("openai/gpt-4o-mini", "openai/gpt-5-codex", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"),
    *("bedrock/amazon.nova-lite-v1:0", "cohere/command-a-03-2025", "mistral/mistral-large-latest"),
    *("deepseek/deepseek-chat", "groq/openai/gpt-oss-20b"),
]
"""Each wire of chat once, and some of OpenAI's dialects."""
SETTINGS = {"region": "us-east-1", "access_key_id": "AKIA", "secret_access_key": "secret"}
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON, small."""
TEXT = st.text(min_size=1, max_size=12)
NAME = st.sampled_from(["find", "find_2", "look-up"])
PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = st.sampled_from(
    [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"enum": [1, None]}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object"},
    ]
)


def record(required: dict[str, st.SearchStrategy[Any]], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=more)


CALL = record(
    {
        "id": TEXT,
        "type": st.just("function"),
        "function": record({"name": NAME, "arguments": st.sampled_from(["{}", '{"a": "b"}', "[", ""])}),
    }
)
PART = st.one_of(
    record({"type": st.just("text"), "text": TEXT}),
    record({"type": st.just("image_url"), "image_url": record({"url": st.just(PICTURE)})}),
)
USER = record({"role": st.just("user"), "content": TEXT | st.lists(PART, min_size=1, max_size=3)})
RULE = record({"role": st.sampled_from(["system", "developer"]), "content": TEXT})
SAID = record({"role": st.just("assistant"), "content": TEXT}, reasoning_content=TEXT, refusal=TEXT)


@st.composite
def called(draw: st.DrawFn) -> list[Any]:
    """Calls of tools and what came of them."""
    calls = draw(st.lists(CALL, min_size=1, max_size=2, unique_by=lambda one: one["id"]))
    results = [{"role": "tool", "tool_call_id": one["id"], "content": draw(TEXT)} for one in calls]
    return [{"role": "assistant", "content": draw(TEXT | st.none()), "tool_calls": calls}, *results]


@st.composite
def conversations(draw: st.DrawFn) -> list[Any]:
    turns = draw(st.lists(st.one_of(USER.map(lambda one: [one]), SAID.map(lambda one: [one]), called()), max_size=3))
    return [*draw(st.lists(RULE, max_size=1)), draw(USER), *(one for turn in turns for one in turn)]


TOOL = record(
    {"type": st.just("function"), "function": record({"name": NAME, "parameters": SCHEMA}, strict=st.booleans())}
)
WANTED = record({"type": st.just("json_schema"), "json_schema": record({"name": NAME, "schema": SCHEMA})})
BODY = record(
    {"model": st.sampled_from(MODELS), "messages": conversations()},
    stream=st.booleans(),
    tools=st.lists(TOOL, min_size=1, max_size=2, unique_by=lambda tool: tool["function"]["name"]),
    response_format=st.sampled_from([{"type": "text"}, {"type": "json_object"}]) | WANTED,
    max_tokens=st.integers(min_value=1, max_value=4_000),
    temperature=st.floats(min_value=0, max_value=1),
    stop=TEXT,
)
MORE = [
    *("n", "user", "seed", "logit_bias", "reasoning_effort", "metadata", "provider_options", "timeouts", "fallbacks")
]
MORE += [*("tool_choice", "stream_options", "top_logprobs", "modalities", "thinking", "nobody_knows")]


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A request of which one member, somewhere, is anything."""
    body = json.loads(json.dumps(draw(BODY)))
    place, name = body, draw(st.sampled_from([*body, *MORE]))
    while draw(st.booleans()) and isinstance(inner := place.get(name), dict | list) and inner:
        if isinstance(inner, list):
            inner = draw(st.sampled_from(inner))
            if not isinstance(inner, dict):
                break
        place, name = inner, draw(st.sampled_from(sorted(inner)))
    place[name] = draw(ODD)
    return body


@pytest.fixture
def reaching(gateway: Gateway) -> Gateway:
    """All providers of the catalog, each of which finds every request wrong."""
    catalog = FileCatalog(REPOSITORY / "shared" / "catalog")
    credential = Credential(Secret("provider-key"), settings=SETTINGS)
    names = {model.partition("/")[0] for model in MODELS}
    world = replace(gateway.world, catalog=catalog, credentials=MemoryCredentials(dict.fromkeys(names, credential)))
    made = dataclasses.replace(gateway, world=world)
    made.hold(principal(Tenant(id="acme", approvals=("*",))))
    made.answers(400, b'{"error": {"message": "No."}, "message": "No."}')
    return made


def refused_in_our_shape(answer: Answer) -> None:
    error = answer.json["error"]
    assert 400 <= answer.status < 500, error
    assert {"message", "type", "code", "param", "request_id", "retryable"} <= error.keys()


UNEVEN = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
"""The gateway is the same for all examples of a test, as an environment is for its requests."""


@settings(suppress_health_check=UNEVEN)
@given(BODY)
async def test_what_is_a_request_is_sent_or_refused(reaching: Gateway, body: Any) -> None:
    refused_in_our_shape(await reaching.chat(body))


@settings(suppress_health_check=UNEVEN)
@given(spoilt())
async def test_what_is_nearly_one_is_too(reaching: Gateway, body: Any) -> None:
    refused_in_our_shape(await reaching.chat(body))


@settings(suppress_health_check=UNEVEN)
@given(ODD.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=60))
async def test_what_is_none_is_refused(reaching: Gateway, body: bytes) -> None:
    refused_in_our_shape(await reaching.chat(body))
    assert reaching.outbound.sent == []
