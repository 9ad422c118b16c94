"""Requests that are sent again with their Idempotency-Key, through the unmodified OpenAI SDK and plain HTTP."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from local.simulators.sounds import recording
from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, customer_of, eventually
from tests.e2e.simulated import posted

MODEL = "openai/gpt-4o-mini"
WORDS = "Hello again"
POSTS: dict[str, dict[str, Any]] = {
    "/chat/completions": {"json": {"model": MODEL, "messages": [{"role": "user", "content": WORDS}]}},
    "/embeddings": {"json": {"model": "openai/text-embedding-3-small", "input": WORDS}},
    "/images/generations": {"json": {"model": "openai/gpt-image-1-mini", "prompt": WORDS, "quality": "low"}},
    "/audio/speech": {"json": {"model": "openai/tts-1", "input": WORDS, "voice": "alloy"}},
    "/audio/transcriptions": {
        "data": {"model": "openai/whisper-1"},
        "files": {"file": ("a.wav", recording(WORDS, "wav"))},
    },
}
pytestmark = pytest.mark.stack


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    with customer_of(local, "once") as customer:
        yield customer


@pytest.fixture
def keyed() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def chatted(client: openai.OpenAI, keyed: dict[str, str], text: str = WORDS, **options: Any) -> Any:
    said: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=MODEL, messages=said, extra_headers=keyed, **options)


def error_of(refused: openai.APIStatusError) -> Any:
    return json.loads(refused.response.text)["error"]


def test_a_chat_is_carried_out_once(sdk: openai.OpenAI, gateway: Gateway, keyed: dict[str, str]) -> None:
    first = chatted(sdk, keyed)
    for text in (WORDS, "Something else"):
        with pytest.raises(openai.ConflictError) as refused:
            chatted(sdk, keyed, text)
        error = error_of(refused.value)
        assert (error["code"], error["param"], error["retryable"]) == ("idempotency_conflict", "Idempotency-Key", False)
        assert error["first_request_id"] == first.to_dict()["gateway"]["request_id"]


def test_the_request_that_had_the_key_says_what_it_used(customer: Customer, keyed: dict[str, str]) -> None:
    post = POSTS["/chat/completions"]
    cost = customer.http.post("/chat/completions", **post, headers=keyed).json()["usage"]["cost_estimate"]
    first_id = customer.http.post("/chat/completions", **post, headers=keyed).json()["error"]["first_request_id"]

    def look() -> Any:
        found = customer.http.get(f"/usage/requests/{first_id}")
        return found.json() if found.status_code == 200 else None

    told = eventually(look)
    assert (told["status"], told["cost_nano_usd"] / 1e9) == ("completed", cost)


@pytest.mark.parametrize("path", POSTS)
def test_every_capability_asks_its_provider_once(customer: Customer, path: str, keyed: dict[str, str]) -> None:
    """A form is divided by another boundary each time it is sent."""
    before = posted(customer.local)
    first = customer.http.post(path, **POSTS[path], headers=keyed)
    again = customer.http.post(path, **POSTS[path], headers=keyed)
    assert (first.status_code, again.status_code) == (200, 409), again.text
    assert again.json()["error"]["first_request_id"] == first.headers["x-gateway-request-id"]
    assert posted(customer.local) == before + 1
    assert set(customer.settled_nano_usd().values()) == {customer.used(2)["cost_nano_usd"]}


def test_the_retries_of_the_sdk_go_on(customer: Customer, keyed: dict[str, str]) -> None:
    """They carry the key of the first try, which failed and cost nothing; the last one is answered."""
    fault = {"provider": "openai", "model": "gpt-4o-mini", "fault": "status=500", "count": 2}
    httpx.post(f"{customer.local.simulators}/_sim/faults", json=fault).raise_for_status()
    with openai.OpenAI(base_url=customer.local.http, api_key=customer.key, max_retries=3) as client:
        assert chatted(client, keyed).choices[0].message.content.endswith(WORDS)
        with pytest.raises(openai.ConflictError):
            chatted(client, keyed)
    assert customer.used(4)["cost_nano_usd"] > 0


def test_the_sdk_waits_for_a_first_request_that_runs(customer: Customer, keyed: dict[str, str]) -> None:
    """And is told in the end which request it was."""
    gate = f"once-{uuid.uuid4().hex}"
    url = f"{customer.local.simulators}/_sim/gates/{gate}"
    text = f"[[gate={gate}]] {WORDS}"
    with (
        openai.OpenAI(base_url=customer.local.http, api_key=customer.key, max_retries=2) as client,
        ThreadPoolExecutor(2) as others,
    ):
        first = others.submit(chatted, client, keyed, text)
        eventually(lambda: True if httpx.get(url).json()["waiting"] else None)
        body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
        running = customer.http.post("/chat/completions", json=body, headers=keyed)
        assert (running.status_code, running.json()["error"]["code"]) == (409, "idempotency_conflict")
        assert running.json()["error"]["retryable"] and int(running.headers["retry-after"]) > 0
        waiting = others.submit(httpx.post, url)
        with pytest.raises(openai.ConflictError) as refused:
            chatted(client, keyed, text)
        waiting.result().raise_for_status()
        assert error_of(refused.value)["first_request_id"] == first.result().to_dict()["gateway"]["request_id"]
        assert refused.value.request.headers["x-stainless-retry-count"] == "1"


def test_of_many_at_once_one_is_carried_out(customer: Customer, keyed: dict[str, str]) -> None:
    before = posted(customer.local)
    with ThreadPoolExecutor(8) as others:
        answers = list(
            others.map(lambda _: customer.http.post("/embeddings", **POSTS["/embeddings"], headers=keyed), range(8))
        )
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
    assert posted(customer.local) == before + 1


def test_a_video_is_begun_once(customer: Customer, keyed: dict[str, str]) -> None:
    body = {"model": "xai/grok-imagine-video", "seconds": 2, "size": "480x480", "prompt": WORDS}
    first = customer.http.post("/videos", json=body, headers=keyed).json()
    again = customer.http.post("/videos", json=body, headers=keyed)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert customer.http.post("/videos", json={**body, "prompt": "Else"}, headers=keyed).status_code == 409
    assert len(customer.http.get("/videos").json()["data"]) == 1


def test_types_are_registered_once(customer: Customer, keyed: dict[str, str]) -> None:
    type_id = "gts.acme.e2e.once.thing.v1~"

    def register(title: str, headers: dict[str, str]) -> httpx.Response:
        document = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"gts://{type_id}",
            "title": title,
        }
        return customer.http.post("/types", json={"types": [document]}, headers=headers)

    first = register("old", keyed)
    assert (first.status_code, register("new", {}).status_code) == (201, 201)
    again = register("old", keyed)
    assert (again.status_code, again.json()) == (201, first.json())
    assert customer.http.get(f"/types/{type_id}").json()["title"] == "new"
    assert register("new", keyed).status_code == 409


def test_an_administrator_is_answered_again(admin: httpx.Client, keyed: dict[str, str]) -> None:
    body = {"id": f"once-{uuid.uuid4().hex[:12]}"}
    first, again = (admin.post("/tenants", json=body, headers=keyed) for _ in range(2))
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert admin.post("/tenants", json={**body, "name": "Other"}, headers=keyed).status_code == 409


@pytest.mark.parametrize("path", [*POSTS, "/videos", "/files", "/types", "/jobs"])
def test_a_key_that_is_too_long_is_refused_by_name(customer: Customer, path: str) -> None:
    video = {"json": {"model": "xai/grok-imagine-video", "seconds": 2, "size": "480x480", "prompt": WORDS}}
    others: dict[str, dict[str, Any]] = {
        "/videos": video,
        "/files": {"files": {"file": ("a", b"a")}, "data": {"purpose": "user_data"}},
        "/types": {"json": {"types": [{}]}},
        "/jobs": {"json": {"endpoint": "/v1/embeddings", "body": POSTS["/embeddings"]["json"]}},
    }
    refused = customer.http.post(path, **{**POSTS, **others}[path], headers={"Idempotency-Key": "k" * 256})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Idempotency-Key")
