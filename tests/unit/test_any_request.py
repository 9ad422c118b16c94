"""Whatever a client sends to chat, for whichever provider: a refusal in our shape, and never a defect."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
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
from tests.odd_json import ODD, spoilt
from tests.unit.conftest import Gateway

MODELS = [
    *("openai/gpt-4o-mini", "openai/gpt-5-codex", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"),
    *("bedrock/amazon.nova-lite-v1:0", "cohere/command-a-03-2025", "mistral/mistral-large-latest"),
    *("deepseek/deepseek-chat", "groq/openai/gpt-oss-20b"),
]
"""Each wire of chat, and some of OpenAI's dialects."""
POINTER = re.compile(r"(/([^~/]|~[01])*)*")
"""As the contract has it."""
SETTINGS = {"region": "us-east-1", "access_key_id": "AKIA", "secret_access_key": "secret"}
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
USER_TEXT = record({"role": st.just("user"), "content": TEXT})
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
PLAIN = record(
    {"messages": st.tuples(RULE, USER_TEXT).map(list) | st.tuples(USER_TEXT, SAID, USER_TEXT).map(list)},
    stream=st.booleans(),
    max_tokens=st.integers(min_value=1, max_value=4_000),
)
"""What every model takes."""
WHOLE = record(
    {"messages": conversations()},
    stream=st.booleans(),
    tools=st.lists(TOOL, min_size=1, max_size=2, unique_by=lambda tool: tool["function"]["name"]),
    response_format=st.sampled_from([{"type": "text"}, {"type": "json_object"}]) | WANTED,
    max_tokens=st.integers(min_value=1, max_value=4_000),
    temperature=st.floats(min_value=0, max_value=1),
    stop=TEXT,
)
"""With everything that some models take and others do not."""
MORE = [
    *("n", "user", "seed", "logit_bias", "reasoning_effort", "metadata", "provider_options", "timeouts", "fallbacks")
]
MORE += [*("tool_choice", "stream_options", "top_logprobs", "modalities", "thinking", "nobody_knows")]
NEARLY = st.one_of(
    PLAIN.flatmap(lambda body: spoilt(body, 1)),
    WHOLE.flatmap(lambda body: spoilt(body, 1)),
    st.builds(lambda body, name, odd: {**body, name: odd}, PLAIN, st.sampled_from(MORE), ODD),
)


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
    assert all(POINTER.fullmatch(detail["pointer"]) and detail["reason"] for detail in error["details"])


UNEVEN = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
"""The gateway is the same for all examples of a test, as an environment is for its requests."""


def sent_of(reaching: Gateway, model: str, bodies: st.SearchStrategy[Any]) -> float:
    """The share of these that the provider is sent; the others are refused before."""
    told = {True: 0, False: 0}

    @settings(suppress_health_check=UNEVEN)
    @given(bodies)
    def ask(body: Any) -> None:
        before = len(reaching.outbound.sent)
        answer = asyncio.run(reaching.chat({"model": model, **body}))
        refused_in_our_shape(answer)
        sent = reaching.outbound.sent[before:]
        assert all(json.loads(request.body) for request in sent)
        told[bool(sent)] += 1

    ask()
    return told[True] / sum(told.values())


@pytest.mark.parametrize("model", MODELS)
def test_what_every_model_takes_is_sent(reaching: Gateway, model: str) -> None:
    assert sent_of(reaching, model, PLAIN) == 1


@pytest.mark.parametrize("model", MODELS)
def test_what_is_a_request_is_sent_or_refused(reaching: Gateway, model: str) -> None:
    assert sent_of(reaching, model, WHOLE) > 1 / 4


@pytest.mark.parametrize("model", MODELS)
def test_what_is_nearly_one_is_too(reaching: Gateway, model: str) -> None:
    assert 1 / 20 < sent_of(reaching, model, NEARLY) < 1 / 2


@settings(suppress_health_check=UNEVEN)
@given(ODD.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=60))
async def test_what_is_none_is_refused(reaching: Gateway, body: bytes) -> None:
    refused_in_our_shape(await reaching.chat(body))
    assert reaching.outbound.sent == []
