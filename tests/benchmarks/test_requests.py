"""What the benchmarks send: the direct call asks the simulator for exactly what the gateway asks it for."""

from __future__ import annotations

import json

import pytest

from benchmarks import scenarios
from benchmarks.aws_stand_in import API_KEY
from benchmarks.event import PATH, chat_event
from benchmarks.scenarios import MODEL, PROVIDER, Scenario
from gateway.adapters.catalog import FileCatalog
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.event import http_request
from gateway.pipeline.read import read_chat_call
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named
from local.places import REPOSITORY


@pytest.mark.parametrize("scenario", scenarios.ALL, ids=lambda scenario: scenario.name)
def test_the_direct_call_equals_what_the_gateway_sends(scenario: Scenario) -> None:
    call = read_chat_call("application/json", scenario.client_body())
    facts = FileCatalog(REPOSITORY / "shared" / "catalog").find(PROVIDER, MODEL)
    assert facts is not None
    wire = provider_named(PROVIDER).wires[facts.api]
    rendered = wire.render(call, Target(PROVIDER, facts, "http://127.0.0.1"))
    assert json.loads(rendered.body) == json.loads(scenario.provider_body())


def test_prompts_have_the_length_that_their_scenario_is_named_after() -> None:
    assert [len(scenario.prompt) for scenario in (scenarios.CHAT_1KB, scenarios.CHAT_32KB)] == [1_000, 32_000]


def test_the_event_is_one_that_the_runtime_client_takes() -> None:
    body = scenarios.CHAT_1KB.client_body()
    scope, received = http_request(json.loads(chat_event(body, API_KEY)), Invocation("id", 0.0), {})
    assert (scope["method"], scope["path"], received) == ("POST", PATH, body)
    assert (b"authorization", f"Bearer {API_KEY}".encode()) in scope["headers"]
