"""A key that was replaced while the old one is still kept: it is read anew, and the request is sent once more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts
from gateway.model.http import Credential, HttpRequest, HttpResponse, Sending
from gateway.model.secret import AwsKeys, Secret
from gateway.pipeline import route
from gateway.pipeline.contact import Contact
from gateway.pipeline.video_download import opened
from gateway.ports import Incoming, World
from gateway.providers.contract import InlineLimits, Target, for_every_model
from gateway.providers.lookup import provider_named
from tests.fakes import MemoryCatalog, MemoryCredentials, ScriptedIncoming
from tests.unit.file_provider import FakeProvider
from tests.unit.several_providers import Several, answers, fails, says, several, streams_text, texts
from tests.unit.test_background import DONE, WORKING, gateway_of_background
from tests.unit.test_uploads import PNG, image, store

OLD, NEW = "old-key", "new-key"
HELLO: dict[str, Any] = {"model": "openai/gpt", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}


@dataclass
class Locked:
    """A provider that refuses the old key, and counts how often."""

    inside: Any
    refusal: ScriptedIncoming = field(default_factory=lambda: fails(401))
    refused: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Incoming]:
        if any(OLD in value for value in request.headers.values()):
            self.refused.append(f"{request.method} {request.url}")
            yield self.refusal
            return
        async with self.inside.open(request, sending) as incoming:
            yield incoming


def keys_of(world: World) -> MemoryCredentials:
    assert isinstance(world.credentials, MemoryCredentials)
    return world.credentials


def rotate(world: World, provider: str, **changes: Any) -> None:
    """Stored by now is another key than the one that is kept."""
    keys, settings = keys_of(world), {"region": "us-east-1"}
    keys.held[provider] = Credential(Secret(OLD), settings=settings)
    keys.rotated[provider] = replace(keys.held[provider], **{"api_key": Secret(NEW), **changes})


@pytest.fixture
def gateway() -> Several:
    made = several()
    made.provider("openai", says("Hello."))
    made.world = replace(made.world, outbound=Locked(made.providers))
    rotate(made.world, "openai")
    return made


def refused(world: World) -> int:
    assert isinstance(world.outbound, Locked)
    return len(world.outbound.refused)


async def test_a_key_that_was_replaced_works_at_once(gateway: Several) -> None:
    answer = await gateway.chat(HELLO)
    assert (answer.status, refused(gateway.world), keys_of(gateway.world).renewals) == (200, 1, 1)
    assert [one["status"] for one in answer.json["gateway"]["attempts"]] == ["ok"]
    assert gateway.providers.sent[0].headers["authorization"] == f"Bearer {NEW}"
    assert (await gateway.chat(HELLO)).status == 200
    assert (refused(gateway.world), keys_of(gateway.world).renewals) == (1, 1)


async def test_for_a_stream_too(gateway: Several) -> None:
    gateway.provider("openai", streams_text("He", "llo."))
    answer = await gateway.chat({**HELLO, "stream": True})
    assert (answer.status, texts(answer.events)) == (200, "Hello.")
    assert refused(gateway.world) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_that_stays_the_same_is_not_tried_again(gateway: Several, stream: bool) -> None:
    keys_of(gateway.world).rotated.clear()
    answer = await gateway.chat({**HELLO, "stream": stream})
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")
    assert (refused(gateway.world), gateway.providers.sent) == (1, [])


async def test_it_is_tried_again_once(gateway: Several) -> None:
    gateway.provider("openai", fails(401))
    answer = await gateway.chat(HELLO)
    assert (answer.status, len(gateway.providers.sent), keys_of(gateway.world).renewals) == (502, 1, 1)


@pytest.mark.parametrize("changes", [{"base_url": "https://other.example"}, {"settings": {"region": "eu-west-1"}}])
async def test_a_key_for_another_place_is_not_sent_to_this_one(gateway: Several, changes: dict[str, Any]) -> None:
    rotate(gateway.world, "openai", **changes)
    answer = await gateway.chat(HELLO)
    assert (answer.status, gateway.providers.sent) == (502, [])


async def test_no_rights_are_no_wrong_key(gateway: Several) -> None:
    gateway.world.outbound.refusal = fails(403)  # type: ignore[attr-defined]
    assert (await gateway.chat(HELLO)).status == 502
    assert keys_of(gateway.world).renewals == 0


async def test_another_model_is_asked_only_when_no_other_key_helps(gateway: Several) -> None:
    gateway.provider("groq", says("groq"))
    both = {**HELLO, "fallback": {"models": ["groq/llama"]}}
    assert (await gateway.chat(both)).json["model"] == "openai/gpt"
    rotate(gateway.world, "openai")
    keys_of(gateway.world).rotated.clear()
    assert (await gateway.chat(both)).json["model"] == "groq/llama"


WORDS = {"message": "no", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}


@pytest.mark.parametrize(
    ("provider", "api", "answer"),
    [
        ("google", "generate_content", answers(400, json.dumps({"error": WORDS}).encode())),
        ("xai", "chat_completions", answers(400, b'{"error": "Incorrect API key provided: sk***."}')),
        ("vertex", "generate_content", fails(401)),
        ("cohere", "cohere_chat", answers(498, b'{"message": "invalid api token"}')),
        ("anthropic", "messages", answers(401, b'{"type": "error", "error": {"type": "authentication_error"}}')),
        ("perplexity", "chat_completions", answers(401, b"<html>", content_type="text/html")),
    ],
)
def test_how_providers_say_that_a_key_is_wrong(provider: str, api: str, answer: ScriptedIncoming) -> None:
    assert refusal_of(provider, api, answer).refuses_credential


@pytest.mark.parametrize(
    ("code", "status", "is_the_key"),
    [
        ("ExpiredTokenException", 403, True),
        ("UnrecognizedClientException", 403, True),
        ("UnrecognizedClientException", 400, True),
        ("InvalidSignatureException", 403, True),
        ("AccessDeniedException", 403, False),
        ("ValidationException", 400, False),
    ],
)
def test_how_aws_says_it(code: str, status: int, is_the_key: bool) -> None:
    answer = ScriptedIncoming(status, {"x-amzn-errortype": f"{code}:http://internal.amazon.com/"}, [b"{}"])
    failed = refusal_of("bedrock", "converse", answer)
    assert failed.refuses_credential is is_the_key


def refusal_of(provider: str, api: str, answer: ScriptedIncoming) -> Any:
    found = provider_named(provider)
    facts = ModelFacts(id="m", name="m", api=api, source="x")
    response = HttpResponse(answer.status, answer.headers, answer.parts[0])
    return found.wires[api].fail(response, Target(provider, facts, "https://x", {}))


async def test_an_upload_and_the_call_after_it_have_the_new_key(
    monkeypatch: pytest.MonkeyPatch, gateway: Several
) -> None:
    fake = FakeProvider()
    facts = ModelFacts(id="m", name="M", api="generate_content", source="x", input=("text", "image"))
    assert isinstance(gateway.world.catalog, MemoryCatalog)
    gateway.world.catalog.held["google"] = {"m": facts}
    gateway.tenant(approvals=("*",))
    gateway.world = replace(gateway.world, outbound=Locked(fake))
    rotate(gateway.world, "google")
    limited = for_every_model(InlineLimits(6000, {"image": 2000}))
    monkeypatch.setattr(route, "provider_named", lambda name: replace(provider_named(name), inline=limited))
    parts = [{"type": "text", "text": "Look"}, image(store(gateway, PNG, "image/png"))]
    answer = await gateway.chat({"model": "google/m", "messages": [{"role": "user", "content": parts}]})
    assert answer.status == 200
    assert {request.headers.get("x-goog-api-key") for request in fake.sent} == {NEW}
    assert refused(gateway.world) == 1


async def test_what_works_in_the_background_is_looked_at_and_ended_with_the_new_key() -> None:
    gateway = gateway_of_background()
    job_id = await gateway.handed_over()
    gateway.world = replace(gateway.world, outbound=Locked(gateway.remote))
    rotate(gateway.world, "openai")
    gateway.remote.looks = [DONE]
    assert (await gateway.finished(job_id))["status"] == "completed"
    assert refused(gateway.world) == 1

    gateway = gateway_of_background()
    job_id = await gateway.handed_over()
    gateway.world = replace(gateway.world, outbound=Locked(gateway.remote))
    rotate(gateway.world, "openai")
    gateway.remote.looks = [WORKING]
    assert (await gateway.send("DELETE", f"/v1/jobs/{job_id}")).json["status"] == "cancelled"
    assert (gateway.remote.asked("cancel"), refused(gateway.world)) == (1, 1)


async def test_a_finished_video_is_read_with_the_new_key(gateway: Several) -> None:
    provider, source = provider_named("google"), "https://generativelanguage.googleapis.com/v1beta/files/1:download"
    facts = ModelFacts(id="veo", name="veo", api="veo", source="x")
    (wire,) = provider.videos.values()
    film = ScriptedIncoming(200, {}, [b"film"])
    gateway.world = replace(gateway.world, outbound=Locked(FakeProvider(overrides={"GET": film})))
    rotate(gateway.world, "google")
    target = Target("google", facts, "https://generativelanguage.googleapis.com", {})
    reached = Contact(route.Route(provider, facts, wire), target, keys_of(gateway.world).held["google"], {})
    async with opened(source, reached, gateway.world) as chunks:
        assert [chunk async for chunk in chunks] == [b"film"]
    assert refused(gateway.world) == 1


def test_secrets_are_equal_by_what_they_hold() -> None:
    one, same, other = (Credential(Secret(key), aws_keys=AwsKeys("id", Secret(key))) for key in ("a", "a", "b"))
    assert one == same != other
    assert Secret("a") != "a"
