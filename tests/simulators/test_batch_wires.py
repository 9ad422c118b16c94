"""The gateway's wires for batches against the simulated providers, request by request, as whoever drives them does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall, UserMessage
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.http import Credential, HttpRequest, HttpResponse
from gateway.model.images import ImagesCall
from gateway.model.provider_errors import ProviderRateLimited
from gateway.model.secret import Secret
from gateway.providers.contract import BatchResult, BatchState, BatchWire, Carrier, Step, Target, batch_input
from gateway.providers.lookup import provider_named
from tests.simulators.process import KEY, Simulator

BASE = {
    "openai": "/openai/v1",
    "groq": "/groq/openai/v1",
    "mistral": "/mistral/v1",
    "anthropic": "/anthropic",
    "google": "/google",
}
CHATS = [
    ("openai", "chat_completions", "gpt-4o-mini"),
    ("openai", "responses", "o3-pro"),
    ("groq", "chat_completions", "llama-3.1-8b-instant"),
    ("mistral", "chat_completions", "mistral-small-latest"),
    ("anthropic", "messages", "claude-haiku-4-5"),
    ("google", "generate_content", "gemini-2.5-flash"),
]
NOISE = "00112233445566778899aabbccddeeff"
LOOKS = 6


@dataclass
class Driven:
    """One batch at one simulated provider. ``file``: what holds the input there."""

    simulator: Simulator
    wire: BatchWire[Any, Any]
    target: Target
    file: str | None = None

    def send(self, step: Step, data: bytes = b"") -> HttpResponse:
        request = step.request if isinstance(step, Carrier) else step
        body = request.body + data + step.after if isinstance(step, Carrier) else request.body
        provider = provider_named(self.target.provider)
        signed = provider.authorize(request, Credential(Secret(KEY)), 0)
        said = httpx.request(signed.method, signed.url, headers=signed.headers, content=body)
        answer = HttpResponse(said.status_code, dict(said.headers), said.content)
        assert said.status_code == 200, self.wire.fail(answer, self.target)
        return answer

    def begin(self, calls: Mapping[str, Any]) -> BatchState:
        pieces = [self.wire.piece(name, call, self.target) for name, call in calls.items()]
        data = b"".join(batch_input(pieces, self.wire.frame))
        step = self.wire.upload(len(data), self.target, NOISE)
        while isinstance(step, HttpRequest | Carrier):
            followed = self.wire.follow(self.send(step, data), len(data), self.target)
            if isinstance(followed, str):
                self.file = followed
                break
            step = followed
        created = self.wire.create(self.file, "label", self.target)
        return self.wire.state(self.send(created, data), self.target)

    def look(self, begun: BatchState) -> BatchState:
        return self.wire.state(self.send(self.wire.look(begun.remote_id, self.target)), self.target)

    def over(self, begun: BatchState) -> BatchState:
        for _ in range(LOOKS):
            begun = self.look(begun)
            if begun.is_over:
                return begun
        raise AssertionError(begun)

    def results(self, state: BatchState) -> dict[str, BatchResult[Any]]:
        found: dict[str, BatchResult[Any]] = {}
        for output in state.outputs:
            parser = self.wire.parser(self.target)
            said = self.send(self.wire.results(output, self.target)).body
            for result in [*parser.feed(said[:100]), *parser.feed(said[100:]), *parser.close()]:
                assert result.item_id not in found
                found[result.item_id] = result
            assert parser.unreadable == 0
        return found


def target(simulator: Simulator, provider: str, api: str, model: str) -> Target:
    return Target(provider, ModelFacts(id=model, name="", api=api), simulator.url + BASE[provider])


def chats(simulator: Simulator, provider: str, api: str, model: str) -> Driven:
    wire = provider_named(provider).batches.chat[api]
    return Driven(simulator, wire, target(simulator, provider, api, model))


def reply(result: BatchResult[Any]) -> Any:
    assert result.reply is not None
    return result.reply


def chat(text: str) -> ChatCall:
    return ChatCall(model="x", messages=[UserMessage(content=text)])


@pytest.mark.parametrize(("provider", "api", "model"), CHATS)
def test_a_batch_from_its_items_to_their_results(simulator: Simulator, provider: str, api: str, model: str) -> None:
    driven = chats(simulator, provider, api, model)
    begun = driven.begin({"a": chat("Hello [[prompt_tokens=7]]"), "b": chat("No [[status=429]]"), "c": chat("Bye")})
    assert (begun.is_over, begun.outputs) == (False, ())
    assert driven.look(begun).status == "running"
    over = driven.over(begun)
    assert (over.status, over.counts.answered, over.counts.failed) == ("completed", 2, 1)
    found = driven.results(over)
    assert {name: one.ending for name, one in found.items()} == {"a": "answered", "b": "failed", "c": "answered"}
    said = reply(found["a"])
    assert (said.choices[0].message.content, said.service_tier) == ("You said: Hello", "batch")
    assert said.usage.prompt_tokens == 7
    assert isinstance(found["b"].failure, ProviderRateLimited)
    if recent := driven.wire.recent(driven.target):
        listed = driven.send(recent)
        assert driven.wire.labelled(listed, "label", driven.target) == over.remote_id
        assert driven.wire.labelled(listed, "other", driven.target) is None
    else:
        assert provider == "anthropic"
    files = {*over.outputs, *([driven.file] if driven.file else [])}
    for request in driven.wire.forget(over.remote_id, files, driven.target):
        driven.send(request)
    for output in over.outputs:
        with pytest.raises(AssertionError):
            driven.send(driven.wire.results(output, driven.target))


@pytest.mark.parametrize(("provider", "api", "model"), CHATS)
def test_what_was_done_before_a_batch_was_cancelled_is_kept(
    simulator: Simulator, provider: str, api: str, model: str
) -> None:
    simulator.control("DELETE", "gates/wires")
    driven = chats(simulator, provider, api, model)
    begun = driven.begin({"a": chat("Hello"), "b": chat("Wait [[gate=wires looks=0]]")})
    assert driven.look(begun).status == "running"
    driven.send(driven.wire.cancel(begun.remote_id, driven.target))
    over = driven.over(begun)
    assert over.status == "cancelled"
    found = driven.results(over)
    assert found["a"].ending == "answered"
    assert found["b"].ending == "cancelled" if "b" in found else provider == "google"


@pytest.mark.parametrize(("provider", "api", "model"), CHATS)
def test_what_was_done_before_a_batch_expired_is_kept_where_the_provider_does(
    simulator: Simulator, provider: str, api: str, model: str
) -> None:
    driven = chats(simulator, provider, api, model)
    over = driven.over(driven.begin({"a": chat("Hello [[batch=expired looks=1]]"), "b": chat("Bye")}))
    assert over.status == "expired"
    endings = {name: one.ending for name, one in driven.results(over).items()}
    assert endings == ({} if provider == "google" else {"b": "answered", "a": "expired"})


@pytest.mark.parametrize("provider", ["openai", "mistral", "google"])
def test_a_batch_that_fails_as_a_whole(simulator: Simulator, provider: str) -> None:
    _, api, model = next(one for one in CHATS if one[0] == provider)
    driven = chats(simulator, provider, api, model)
    over = driven.over(driven.begin({"a": chat("Hello [[batch=failed]]")}))
    assert (over.status, over.outputs, over.failure and over.failure.status) == ("failed", (), 400)


@pytest.mark.parametrize(
    ("provider", "api", "model", "texts"),
    [
        ("openai", "embeddings", "text-embedding-3-small", ["one", "two"]),
        ("mistral", "embeddings", "codestral-embed", ["one", "two"]),
        ("google", "embed_content", "gemini-embedding-001", "one"),
    ],
)
def test_vectors_out_of_a_batch(simulator: Simulator, provider: str, api: str, model: str, texts: Any) -> None:
    wire = provider_named(provider).batches.embeddings[api]
    driven = Driven(simulator, wire, target(simulator, provider, api, model))
    call = EmbeddingsCall(model="x", input=texts, dimensions=4, encoding_format="float")
    (found,) = driven.results(driven.over(driven.begin({"v": call}))).values()
    alone = provider_named(provider).embeddings[api]
    said = alone.parse(driven.send(alone.render(call, driven.target)), driven.target)
    assert reply(found).vectors == said.vectors
    assert found.usage
    assert found.usage.prompt_tokens == len(call.inputs)


@pytest.mark.parametrize(
    ("provider", "api", "model"),
    [("openai", "images", "gpt-image-1"), ("google", "generate_content", "gemini-2.5-flash-image")],
)
def test_pictures_out_of_a_batch(simulator: Simulator, provider: str, api: str, model: str) -> None:
    wire = provider_named(provider).batches.images[api]
    driven = Driven(simulator, wire, target(simulator, provider, api, model))
    (found,) = driven.results(driven.over(driven.begin({"p": ImagesCall(model="x", prompt="A cat")}))).values()
    (picture,) = reply(found).images
    assert picture.data.startswith(b"\x89PNG")
