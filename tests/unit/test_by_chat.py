"""Chats with models that make images: the model decides, and what a chat model paints is kept."""

from __future__ import annotations

import json
from base64 import b64encode
from importlib import import_module
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.entry.chat import ROUTE, chat_app
from gateway.model.catalog import ImageFacts, ModelFacts, Prices
from gateway.model.errors import StorageUnavailable
from gateway.model.file import File, Origin
from gateway.pipeline.by_chat import JOINED
from gateway.pipeline.generated_media import keep_media
from tests.asgi import Answer, call
from tests.fakes import MemoryAccess, MemoryCatalog, MemoryFiles, world_of
from tests.unit.conftest import KEY
from tests.unit.test_embeddings_function import Provider, Whole
from tests.unit.test_images_function import MODELS, Gateway, openai_says, painted

STORYTELLER = ModelFacts(
    id="storyteller",
    name="",
    api="generate_content",
    source="https://example.org",
    input=("text", "image"),
    output=("text", "image"),
    capabilities=("streaming", "image_generation"),
    prices=Prices(input=1_000_000, output=2_000_000, output_image=30_000_000),
    image=ImageFacts(ratios=("1:1",), tokens={"": 1000}),
)


@pytest.fixture
def gateway() -> Gateway:
    access, provider = MemoryAccess(), Provider(openai_says)
    catalog = MemoryCatalog({**MODELS, "google": {"storyteller": STORYTELLER}})
    world = world_of(provider, access, catalog)  # type: ignore[arg-type]  # it answers by what it is asked
    made = Gateway(world, provider, access)
    made.allow()
    return made


async def chat(gateway: Gateway, **body: Any) -> Answer:
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    body = {"model": "openai/painter", "messages": [{"role": "user", "content": "a cat"}], **body}
    return await call(chat_app(gateway.world), json.dumps(body).encode(), headers, path=ROUTE)


async def test_each_choice_is_an_image_in_the_tenants_storage(gateway: Gateway) -> None:
    messages = [
        {"role": "system", "content": "In oil."},
        {"role": "user", "content": [{"type": "text", "text": "A cat"}, {"type": "text", "text": "on a mat"}]},
        {"role": "assistant", "content": None, "media": [{"type": "image", "file_id": "file_1"}]},
        {"role": "user", "content": "Asleep"},
    ]
    answer = await chat(gateway, messages=messages, n=2, modalities=["image"], stream=False, metadata={})
    assert answer.status == 200, answer.json
    reply = answer.json
    (asked,) = gateway.provider.bodies
    assert asked == {"model": "painter", "prompt": "In oil.\n\nA cat\n\non a mat\n\nAsleep", "n": 2}
    assert (reply["object"], reply["model"]) == ("chat.completion", "openai/painter")
    assert [choice["finish_reason"] for choice in reply["choices"]] == ["stop", "stop"]
    for number, choice in enumerate(reply["choices"]):
        (image,) = choice["message"]["media"]
        assert gateway.in_storage(image) == painted(asked["prompt"], number)
        assert {"type", "url", "file_id", "content_type", "size_bytes", "expires_at"} <= image.keys()
        assert (choice["message"]["role"], choice["message"]["content"]) == ("assistant", None)
    usage = reply["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (4, 200)
    assert usage["completion_tokens_details"]["image_tokens"] == 200
    assert usage["cost_estimate"] == (4 * 5_000 + 200 * 40_000) / 1e9
    (record,) = gateway.usage
    assert (record.of.operation, record.cost_nano_usd) == ("chat", 4 * 5_000 + 200 * 40_000)


@pytest.mark.parametrize("apart", [False, True])
async def test_a_stream_has_the_images_at_once_and_ends_with_usage(gateway: Gateway, apart: bool) -> None:
    answer = await chat(gateway, n=2, stream=True, stream_options={"include_usage": apart})
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.body.decode().splitlines() if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [(choice["index"], choice["finish_reason"], choice["delta"]["role"]) for choice in choices] == [
        (0, "stop", "assistant"),
        (1, "stop", "assistant"),
    ]
    assert [gateway.in_storage(choice["delta"]["media"][0]) for choice in choices] == [
        painted("a cat"),
        painted("a cat", 1),
    ]
    assert chunks[-1]["usage"]["completion_tokens"] == 200
    assert chunks[-1]["gateway"]["model_used"] == "openai/painter"
    assert (len(chunks), bool(chunks[-1]["choices"])) == ((3, False) if apart else (2, True))
    refused = await chat(gateway, stream=True, temperature=0)
    assert refused.status == 400


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"temperature": 0}, "capability_not_supported", "temperature"),
        ({"max_tokens": 5}, "capability_not_supported", "max_tokens"),
        ({"seed": 0}, "capability_not_supported", "seed"),
        ({"response_format": {"type": "json_object"}}, "capability_not_supported", "response_format"),
        ({"modalities": ["text"]}, "capability_not_supported", "modalities"),
        ({"n": 11}, "validation_error", "n"),
        ({"messages": [{"role": "user", "content": ""}]}, "validation_error", "messages"),
        ({"messages": [{"role": "user", "content": "x" * 101}]}, "validation_error", "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "url": "https://a.example/b"}]}]},
            "capability_not_supported",
            "messages[0].content[0]",
        ),
        ({"provider_options": {"openai": {"n": 9}}}, "capability_not_supported", "provider_options.openai.n"),
    ],
)
async def test_what_an_image_cannot_honour_is_refused_by_name_unsent(
    gateway: Gateway, body: dict[str, Any], code: str, param: str
) -> None:
    answer = await chat(gateway, **body)
    assert answer.status == 400
    assert (answer.json["error"]["code"], answer.json["error"]["param"]) == (code, param), answer.json
    assert gateway.provider.sent == []


async def test_every_capability_that_joins_is_there() -> None:
    for module in JOINED.values():
        assert callable(import_module(module).plan)


# -- chat models that paint -----------------------------------------------------------------------------------------


def told(*parts: Any) -> dict[str, Any]:
    figures = {
        "promptTokenCount": 4,
        "candidatesTokenCount": 1100,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1000}],
    }
    candidate = {"index": 0, "content": {"role": "model", "parts": [*parts]}, "finishReason": "STOP"}
    return {"candidates": [candidate], "usageMetadata": figures}


def drawn() -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": b64encode(painted("x")).decode()}}


async def test_what_a_chat_model_paints_is_kept_and_linked(gateway: Gateway) -> None:
    gateway.provider.say = lambda _: Whole(200, json.dumps(told({"text": "Once"}, drawn())).encode())
    reply = (await chat(gateway, model="google/storyteller")).json
    message = reply["choices"][0]["message"]
    (image,) = message["media"]
    assert message["content"] == "Once"
    assert "data" not in image
    assert gateway.in_storage(image) == painted("x")
    assert reply["usage"]["cost_estimate"] == (4 * 1_000 + 100 * 2_000 + 1000 * 30_000) / 1e9


async def test_in_a_stream_too(gateway: Gateway) -> None:
    pieces = (told({"text": "Once"}), told(drawn()))
    events = b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in pieces)
    gateway.provider.say = lambda _: Whole(200, events)
    answer = await chat(gateway, model="google/storyteller", stream=True)
    chunks = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    (image,) = [
        entry for chunk in chunks for choice in chunk["choices"] for entry in choice["delta"].get("media") or ()
    ]
    assert gateway.in_storage(image) == painted("x")
    assert "data" not in image


async def test_earlier_images_go_to_the_provider_as_bytes(gateway: Gateway) -> None:
    kept = await keep_media("acme", Origin("google/storyteller", "req_1"), painted("x"), "image/png", gateway.world)
    gateway.provider.say = lambda _: Whole(200, json.dumps(told({"text": "Twice"})).encode())
    messages = [
        {"role": "user", "content": "Draw"},
        {"role": "assistant", "content": "", "media": [{"type": "image", **kept.told()}]},
        {"role": "user", "content": "Again"},
    ]
    assert (await chat(gateway, model="google/storyteller", messages=messages)).status == 200
    (sent,) = gateway.provider.bodies
    assert drawn() in sent["contents"][1]["parts"]
    assert kept.link.url not in json.dumps(sent)


async def test_an_earlier_image_that_is_gone_is_named(gateway: Gateway) -> None:
    media = [{"type": "image", "file_id": "file_00000000000000000000000000"}]
    messages = [{"role": "assistant", "content": "", "media": media}, {"role": "user", "content": "Again"}]
    answer = await chat(gateway, model="google/storyteller", messages=messages)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (422, "media_not_found", "messages[0].media[0].file_id")


@pytest.mark.parametrize(
    ("entry", "param"),
    [
        ({"type": "video", "content_type": "video/mp4", "data": "AAAA"}, "data"),
        ({"type": "image", "file_id": "a document"}, "file_id"),
    ],
)
async def test_what_no_reply_can_have_had_is_no_earlier_media(gateway: Gateway, entry: Any, param: str) -> None:
    """It would reach the provider past all that looks at media."""
    if "file_id" in entry:
        kept = await keep_media("acme", Origin("m", "req_1"), b"%PDF-1.7", "application/pdf", gateway.world)
        entry = {**entry, "file_id": kept.file.id}
    messages = [{"role": "assistant", "content": "", "media": [entry]}, {"role": "user", "content": "Again"}]
    answer = await chat(gateway, model="google/storyteller", messages=messages)
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (400, "validation_error")
    assert error["param"] == f"messages[0].media[0].{param}"
    assert gateway.provider.bodies == []


async def test_media_that_cannot_be_stored_are_paid_all_the_same(gateway: Gateway) -> None:
    class Full(MemoryFiles):
        async def put(self, tenant_id: str, file: File, data: bytes) -> None:
            raise StorageUnavailable("Files cannot be stored at the moment.")

    gateway.world = replace(gateway.world, files=Full(gateway.world.clock))
    gateway.provider.say = lambda _: Whole(200, json.dumps(told(drawn())).encode())
    answer = await chat(gateway, model="google/storyteller")
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    assert [record.cost_nano_usd for record in gateway.usage] == [4 * 1_000 + 100 * 2_000 + 1000 * 30_000]
