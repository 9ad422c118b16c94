"""Chats in the background: what is asked, and what each state of it means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, UserMessage
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderRejected
from gateway.providers.contract import BackgroundState, Target
from gateway.providers.lookup import provider_named
from tests.providers import replay
from tests.providers.recorded import recorded

FACTS = ModelFacts(id="o3-pro", name="", api="responses", source="x", capabilities=("reasoning",), background=True)
TARGET = Target("openai", FACTS, "https://api.openai.com/v1")
WIRE = provider_named("openai").background["responses"]
CALL = ChatCall(model="openai/o3-pro", messages=[UserMessage(content="What is 2 + 2?")])
USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "4", "annotations": []}]}
BEGUN = "openai-chat-5035068450e9"


def answer(**members: Any) -> HttpResponse:
    whole = {"id": "resp_1", "object": "response", "model": "o3-pro", "output": [], "usage": None, **members}
    return HttpResponse(200, {}, json.dumps(whole).encode())


def state(**members: Any) -> BackgroundState:
    return WIRE.state(answer(**members), TARGET)


def test_it_is_asked_as_ever_but_in_the_background_and_not_stored() -> None:
    request = WIRE.render(CALL, TARGET)
    assert (request.method, request.url) == ("POST", "https://api.openai.com/v1/responses")
    body = json.loads(request.body)
    assert (body["background"], body["store"]) == (True, False)
    assert "stream" not in body
    plain = provider_named("openai").wires["responses"].render(CALL, TARGET)
    assert json.loads(plain.body) == {name: value for name, value in body.items() if name != "background"}


def test_where_it_is_looked_at_and_stopped() -> None:
    looked, stopped = WIRE.look("resp/1", TARGET), WIRE.cancel("resp/1", TARGET)
    place = "https://api.openai.com/v1/responses/resp%2F1"
    assert (looked.method, looked.url) == ("GET", f"{place}?include%5B%5D=reasoning.encrypted_content")
    assert stopped is not None
    assert (stopped.method, stopped.url) == ("POST", f"{place}/cancel")


@pytest.mark.parametrize("status", ["queued", "in_progress", "completed"])
def test_what_was_begun_has_an_id(status: str) -> None:
    assert WIRE.parse(answer(status=status), TARGET) == "resp_1"


@pytest.mark.parametrize(
    "members", [{"id": None, "status": "queued"}, {"status": "failed", "error": {"code": "server_error"}}]
)
def test_what_was_not_begun(members: dict[str, Any]) -> None:
    with pytest.raises(ProviderError):
        WIRE.parse(answer(**members), TARGET)


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_it_is_at_it(status: str) -> None:
    assert not state(status=status).is_over


def test_it_is_finished() -> None:
    reply = state(status="completed", output=[SAID], usage=USAGE).reply
    assert reply is not None
    assert reply.usage is not None
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("4", "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (10, 5)


def test_it_is_cut_short() -> None:
    details = {"reason": "max_output_tokens"}
    reply = state(status="incomplete", incomplete_details=details, output=[SAID], usage=USAGE).reply
    assert reply is not None
    assert reply.choices[0].finish_reason == "length"


def test_it_failed_or_was_stopped() -> None:
    stopped = state(status="cancelled", usage=USAGE).failure
    assert stopped is not None
    assert stopped.charged is not None
    assert stopped.charged.completion_tokens == 5
    failed = state(status="failed", error={"code": "server_error", "message": "Sorry."}).failure
    assert (type(failed), failed and failed.charged) == (ProviderError, None)
    refused = state(status="failed", error={"code": "invalid_prompt", "message": "No."}).failure
    assert isinstance(refused, ProviderRejected)


def test_what_is_no_state_says_nothing() -> None:
    with pytest.raises(ProviderError):
        WIRE.state(HttpResponse(200, {}, b"<html>"), TARGET)


def test_a_recorded_one() -> None:
    """What its client asked for, but that what it is asked for is kept; and the id that it was given."""
    found = recorded(lambda row: row["id"] == BEGUN)
    if not found:
        pytest.skip(f"no recordings at {replay.ROOT}")
    recording = found[0].load()
    model = recording["model"]
    facts = ModelFacts(id=model, name="", api="responses", source="x", capabilities=("reasoning",))
    call = ChatCall(model=f"openai/{model}", messages=[UserMessage(content="What is 2 + 2?")], stream=False)
    target = Target("openai", facts, "https://api.openai.com/v1")
    rendered = json.loads(WIRE.render(call, target).body)
    assert rendered.pop("store") is False
    assert {name: rendered[name] for name in ("background", "include", "model", "stream")} == {
        name: recording["request"]["body"][name] for name in ("background", "include", "model", "stream")
    }
    said = HttpResponse(200, {}, json.dumps(recording["response"]["body"]).encode())
    assert WIRE.parse(said, target) == recording["response"]["body"]["id"]
    assert not WIRE.state(said, target).is_over


RESEARCH = ModelFacts(id="sonar-deep-research", name="", source="x", background=True)
SONAR = Target("perplexity", RESEARCH, "https://api.perplexity.ai")
ASYNC = provider_named("perplexity").background["chat_completions"]
COMPLETION = {
    "id": "c-1",
    "object": "chat.completion",
    "model": "sonar-deep-research",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": {"total_cost": 0.25}},
}


def told(status: str, response: Any = None) -> HttpResponse:
    body = {"id": "a/1", "model": "sonar-deep-research", "created_at": 1, "status": status, "response": response}
    return HttpResponse(200, {}, json.dumps(body).encode())


def test_perplexity_is_asked_as_ever_inside_of_an_order() -> None:
    request = ASYNC.render(CALL, SONAR)
    plain = provider_named("perplexity").wires["chat_completions"].render(CALL, SONAR)
    assert (request.method, request.url) == ("POST", "https://api.perplexity.ai/async/chat/completions")
    assert json.loads(request.body) == {"request": json.loads(plain.body)}
    looked = ASYNC.look("a/1", SONAR)
    assert (looked.method, looked.url) == ("GET", "https://api.perplexity.ai/async/chat/completions/a%2F1")
    assert ASYNC.cancel("a/1", SONAR) is None


def test_perplexity_says_how_it_gets_on() -> None:
    assert ASYNC.parse(told("CREATED"), SONAR) == "a/1"
    assert not ASYNC.state(told("CREATED"), SONAR).is_over
    assert not ASYNC.state(told("IN_PROGRESS"), SONAR).is_over
    reply = ASYNC.state(told("COMPLETED", COMPLETION), SONAR).reply
    assert reply is not None
    assert reply.usage is not None
    assert (reply.choices[0].message.content, reply.usage.stated_cost_nano_usd) == ("4", 250_000_000)


def test_perplexity_comes_to_nothing() -> None:
    for state in (ASYNC.state(told("FAILED"), SONAR), ASYNC.state(told("COMPLETED"), SONAR)):
        assert type(state.failure) is ProviderError
    with pytest.raises(ProviderError):
        ASYNC.parse(told("FAILED"), SONAR)
    for nothing in (told("SLEEPING"), HttpResponse(200, {}, b"<html>")):
        with pytest.raises(ProviderError):
            ASYNC.state(nothing, SONAR)
