"""Media of a chat call: where the bytes come from, what they really are, and what reaches the provider."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from gateway.model.errors import InvalidRequest, StorageUnavailable
from gateway.model.file import File, StoredFile, new_file_id
from gateway.pipeline import media
from gateway.providers.lookup import provider_named
from tests.fakes import FixedFetcher, MemoryFiles
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import HELLO, WHOLE

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)
WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(20)
PDF = b"%PDF-1.7\n" + bytes(20)
WEB = "https://example.org/picture"


def data_url(content_type: str, body: bytes) -> str:
    return f"data:{content_type};base64,{base64.b64encode(body).decode()}"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def store(gateway: Gateway, body: bytes, content_type: str, tenant_id: str = "acme") -> str:
    files = gateway.world.files
    assert isinstance(files, MemoryFiles)
    file_id = new_file_id("user_data", gateway.world.clock.now_s(), bytes(10))
    files.whole[tenant_id, file_id] = (File(file_id, "report.pdf", content_type, len(body)), body)
    return file_id


def on_the_web(gateway: Gateway, found: StoredFile | Exception) -> FixedFetcher:
    fetcher = gateway.world.fetcher
    assert isinstance(fetcher, FixedFetcher)
    fetcher.there[WEB] = found  # type: ignore[assignment]
    return fetcher


@pytest.fixture(autouse=True)
def every_medium(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    seeing = msgspec.structs.replace(FACTS, source="x", input=("text", "image", "audio", "document"))
    gateway.world.catalog.held["openai"]["gpt-4o"] = seeing  # type: ignore[attr-defined]


async def ask(gateway: Gateway, *parts: dict[str, Any]) -> Any:
    """The content parts that the provider gets, or the error that the client gets."""
    message = {"role": "user", "content": [{"type": "text", "text": "See:"}, *parts]}
    answer = await gateway.chat({**HELLO, "messages": [message]})
    if answer.status != 200:
        return {**answer.json["error"], "status": answer.status}
    return json.loads(gateway.outbound.sent[-1].body)["messages"][0]["content"][1:]


async def test_a_picture_from_the_web_goes_in_as_bytes_never_as_its_address(gateway: Gateway) -> None:
    fetcher = on_the_web(gateway, StoredFile(PNG, "image/png", ""))
    assert await ask(gateway, image(WEB)) == [image(data_url("image/png", PNG))]
    assert fetcher.fetched == [WEB]


async def test_a_picture_from_the_tenants_files_by_id_and_by_url(gateway: Gateway) -> None:
    file_id = store(gateway, PNG, "image/png")
    expected = [image(data_url("image/png", PNG))]
    assert await ask(gateway, image(file_id)) == expected
    assert await ask(gateway, image(f"https://storage.test/files/acme/{file_id}?X-Amz-Signature=old")) == expected
    assert await ask(gateway, {"type": "image", "url": file_id}) == expected


async def test_another_tenants_file_is_not_there(gateway: Gateway) -> None:
    file_id = store(gateway, PNG, "image/png", tenant_id="rival")
    error = await ask(gateway, image(file_id))
    assert (error["status"], error["code"], error["param"]) == (422, "media_not_found", "messages[0].content[1]")


@pytest.mark.parametrize("provider", ["google", "vertex"])
def test_a_providers_files_of_all_tenants_are_no_address_to_hand_on(provider: str) -> None:
    own = provider_named(provider).own_urls
    assert "gs://bucket/a.mp4".startswith(own)
    assert not "https://generativelanguage.googleapis.com/v1beta/files/another-tenants".startswith(own)


async def test_several_pictures_keep_their_order(gateway: Gateway) -> None:
    on_the_web(gateway, StoredFile(PNG, "image/png", ""))
    parts = await ask(
        gateway, image(data_url("image/jpeg", JPEG)), image(WEB), image(store(gateway, JPEG, "image/jpeg"))
    )
    assert [part["image_url"]["url"].partition(";")[0] for part in parts] == [
        "data:image/jpeg",
        "data:image/png",
        "data:image/jpeg",
    ]


async def test_the_bytes_decide_what_an_inline_picture_is(gateway: Gateway) -> None:
    assert await ask(gateway, image(data_url("image/png", JPEG))) == [image(data_url("image/jpeg", JPEG))]


@pytest.mark.parametrize(
    "part",
    [
        image(data_url("image/png", PDF)),
        image(data_url("image/png", b"")),
        image("data:image/png,notbase64"),
        image("data:image/png;base64,%%%"),
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(PNG).decode(), "format": "wav"}},
        {"type": "file", "file": {}},
        {"type": "file", "file": {"file_id": "a", "file_data": "b"}},
    ],
)
async def test_what_is_not_what_its_part_says_is_refused_by_place(gateway: Gateway, part: dict[str, Any]) -> None:
    error = await ask(gateway, part)
    assert (error["status"], error["code"]) == (400, "validation_error")
    assert error["param"].startswith("messages[0].content[1]")
    assert gateway.outbound.sent == []


async def test_audio_and_documents_become_the_parts_that_wires_know(gateway: Gateway) -> None:
    sound = await ask(gateway, {"type": "audio", "url": store(gateway, WAV, "audio/wav")})
    assert sound == [{"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}}]
    document = await ask(gateway, {"type": "document", "url": store(gateway, PDF, "application/pdf")})
    file = {"file_data": data_url("application/pdf", PDF), "filename": "report.pdf"}
    assert document == [{"type": "file", "file": file}]


async def test_a_refused_address_is_400_and_a_dead_one_422(gateway: Gateway) -> None:
    on_the_web(gateway, InvalidRequest("This URL is not read.", param="messages[0].content[1]"))
    assert (await ask(gateway, image(WEB)))["status"] == 400
    assert (await ask(gateway, image("https://example.org/nothing")))["code"] == "media_not_found"


async def test_a_storage_that_is_down_is_said_to_be(gateway: Gateway) -> None:
    on_the_web(gateway, StorageUnavailable("Media cannot be fetched at the moment."))
    error = await ask(gateway, image(WEB))
    assert (error["status"], error["code"], error["retryable"]) == (503, "storage_unavailable", True)


async def test_media_are_limited_together(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_BYTES", 2 * len(PNG) - 1)
    picture = image(data_url("image/png", PNG))
    assert (await ask(gateway, picture, picture))["code"] == "payload_too_large"


async def test_a_file_part_with_a_picture_is_a_picture(gateway: Gateway) -> None:
    part = {"type": "file", "file": {"file_id": store(gateway, PNG, "image/png")}}
    assert await ask(gateway, part) == [image(data_url("image/png", PNG))]


async def test_a_file_that_turns_out_to_be_a_picture_needs_a_model_that_sees(gateway: Gateway) -> None:
    models = gateway.world.catalog.held["openai"]  # type: ignore[attr-defined]
    models["gpt-4o"] = msgspec.structs.replace(models["gpt-4o"], input=("text", "document"))
    part = {"type": "file", "file": {"file_id": store(gateway, PNG, "image/png")}}
    assert (await ask(gateway, part))["code"] == "capability_not_supported"


async def test_waiting_for_media_is_not_overhead(gateway: Gateway) -> None:
    clock: Any = gateway.world.clock
    fetcher = on_the_web(gateway, StoredFile(PNG, "image/png", ""))

    def take_two_seconds() -> None:
        clock.running_s += 2

    fetcher.on_fetch = take_two_seconds
    message = {"role": "user", "content": [image(WEB)]}
    report = (await gateway.chat({**HELLO, "messages": [message]})).json["gateway"]
    assert (report["latency_ms"], report["overhead_ms"]) == (2000.0, 0.0)
