"""What the benchmarks send: the direct call asks the simulator for exactly what the gateway asks it for."""

from __future__ import annotations

import json

import pytest

from benchmarks import scenarios
from benchmarks.aws_stand_in import API_KEY
from benchmarks.event import proxy_event
from benchmarks.scenarios import CHAT, PROVIDER, Scenario
from gateway.adapters.catalog import FileCatalog
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.event import http_request
from gateway.model.catalog import ModelFacts
from gateway.pipeline.embeddings_read import read_embeddings_call
from gateway.pipeline.read import read_chat_call
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named
from local.places import REPOSITORY

CATALOG = FileCatalog(REPOSITORY / "shared" / "catalog")


@pytest.mark.parametrize(
    "scenario", [each for each in scenarios.ALL if each.endpoint is CHAT], ids=lambda one: one.name
)
def test_the_direct_chat_equals_what_the_gateway_sends(scenario: Scenario) -> None:
    call = read_chat_call("application/json", scenario.client_body())
    facts = facts_of(scenario)
    rendered = provider_named(PROVIDER).wires[facts.api].render(call, Target(PROVIDER, facts, "http://127.0.0.1"))
    assert json.loads(rendered.body) == json.loads(scenario.provider_body())


@pytest.mark.parametrize("scenario", [scenarios.FLOATS, scenarios.BASE64], ids=lambda one: one.name)
def test_the_direct_call_for_vectors_equals_what_the_gateway_sends(scenario: Scenario) -> None:
    call = read_embeddings_call("application/json", scenario.client_body())
    facts = facts_of(scenario)
    rendered = provider_named(PROVIDER).embeddings[facts.api].render(call, Target(PROVIDER, facts, "http://127.0.0.1"))
    assert json.loads(rendered.body) == json.loads(scenario.provider_body())


def facts_of(scenario: Scenario) -> ModelFacts:
    facts = CATALOG.find(PROVIDER, scenario.endpoint.model)
    assert facts is not None
    return facts


def test_prompts_have_the_length_that_their_scenario_is_named_after() -> None:
    chats = (scenarios.CHAT_1KB, scenarios.CHAT_32KB)
    assert [len(scenario.asked["messages"][0]["content"]) for scenario in chats] == [1_000, 32_000]


def test_the_event_is_one_that_the_runtime_client_takes() -> None:
    body = scenarios.CHAT_1KB.client_body()
    event = proxy_event("/v1/chat/completions", body, API_KEY)
    scope, received = http_request(json.loads(event), Invocation("id", 0.0), {})
    assert (scope["method"], scope["path"], received) == ("POST", "/v1/chat/completions", body)
    assert (b"authorization", f"Bearer {API_KEY}".encode()) in scope["headers"]
