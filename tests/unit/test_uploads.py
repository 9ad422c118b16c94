"""Media too large to go inline: uploaded before the call, named in it, deleted after the client has its answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts, Prices
from gateway.model.circuit import Rules
from gateway.model.file import File, StoredFile, new_file_id
from gateway.model.http import Credential
from gateway.model.provider_errors import ProviderError
from gateway.model.secret import Secret
from gateway.model.tenant import Tenant
from gateway.pipeline import route
from gateway.pipeline.large_media import Loaded
from gateway.pipeline.shared_health import SharedHealth
from gateway.providers.contract import InlineLimits, for_every_model
from gateway.providers.lookup import provider_named
from gateway.providers.wire.anthropic_files import AnthropicFiles
from tests.asgi import Answer
from tests.fakes import (
    ListRecords,
    ManualClock,
    MemoryCatalog,
    MemoryCredentials,
    MemoryFiles,
    ScriptedIncoming,
    principal,
)
from tests.health_store import MemoryHealth
from tests.unit.conftest import Gateway
from tests.unit.file_provider import GEMINI_REPLY, ORIGIN, FakeProvider, whole
from tests.unit.test_slots import capped, fill, slots

PNG = b"\x89PNG\r\n\x1a\n" + bytes(3000)
PDF = b"%PDF-1.7\n" + bytes(3000)
CLIP = b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(3000)
SMALL = b"\x89PNG\r\n\x1a\n" + bytes(300)
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ALL = ("text", "image", "audio", "video", "document")
SPOT = "messages[0].content[1]"


@pytest.fixture
def provider(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """Limits of 2,000 bytes a picture and 6,000 a request, so that small media are large ones."""
    fake = FakeProvider()
    gateway.world = replace(gateway.world, outbound=fake)
    assert isinstance(gateway.world.catalog, MemoryCatalog)
    assert isinstance(gateway.world.credentials, MemoryCredentials)
    for name, api in {"google": "generate_content", "anthropic": "messages", "bedrock": "converse"}.items():
        prices = Prices(input=1000, output=1000)
        facts = ModelFacts(id="m", name="M", api=api, source="x", input=ALL, capabilities=("streaming",), prices=prices)
        gateway.world.catalog.held[name] = {"m": facts}
        settings = {"region": "us-east-1"}
        gateway.world.credentials.held[name] = Credential(Secret("provider-key"), settings=settings)
    limited = for_every_model(InlineLimits(6000, {"image": 2000}))
    monkeypatch.setattr(route, "provider_named", lambda name: replace(provider_named(name), inline=limited))
    gateway.hold(principal(Tenant(id="acme", approvals=("*",))))
    return fake


def store(gateway: Gateway, body: bytes, content_type: str) -> str:
    files = gateway.world.files
    assert isinstance(files, MemoryFiles)
    file_id = new_file_id("user_data", gateway.world.clock.now_s(), len(files.whole).to_bytes(10))
    files.whole["acme", file_id] = (File(file_id, "report.pdf", content_type, len(body)), body)
    return file_id


def clock(gateway: Gateway) -> ManualClock:
    assert isinstance(gateway.world.clock, ManualClock)
    return gateway.world.clock


async def ask(gateway: Gateway, model: str, *parts: Any, answer: Answer | None = None, **members: Any) -> Answer:
    message = {"role": "user", "content": [{"type": "text", "text": "Look"}, *parts]}
    return await gateway.chat({"model": f"{model}/m", "messages": [message], **members}, answer=answer)


def image(url: str, **members: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}, **members}


async def test_google_gets_a_large_picture_by_reference_and_loses_it(gateway: Gateway, provider: FakeProvider) -> None:
    answer = await ask(gateway, "google", image(store(gateway, PNG, "image/png")))
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "Seen.")
    assert provider.asked == [
        "POST upload/v1beta/files",
        "POST upload/v1beta/files",
        "POST v1beta/models/m:generateContent",
        "DELETE v1beta/files/f1",
    ]
    assert provider.sent[1].body == PNG
    reference = {"mimeType": "image/png", "fileUri": f"{ORIGIN}/v1beta/files/f1"}
    assert provider.message == [{"fileData": reference}]
    assert {request.headers.get("x-goog-api-key") for request in provider.sent} == {"provider-key"}


async def test_the_credential_does_not_follow_an_upload_elsewhere(gateway: Gateway, provider: FakeProvider) -> None:
    provider.upload_root = "https://storage.example.com/upload"
    assert (await ask(gateway, "google", image(store(gateway, PNG, "image/png")))).status == 200
    assert "x-goog-api-key" not in provider.sent[1].headers
    assert provider.sent[1].body == PNG


async def test_a_video_is_waited_for_more_and_more_patiently(gateway: Gateway, provider: FakeProvider) -> None:
    provider.states = ["PROCESSING"] * 6 + ["ACTIVE"]
    part = {"type": "video", "url": store(gateway, CLIP + bytes(3000), "video/mp4")}
    answer = await ask(gateway, "google", part)
    assert clock(gateway).slept == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert provider.asked.count("GET v1beta/files/f1") == 6
    report = answer.json["gateway"]
    assert (report["latency_ms"], report["overhead_ms"]) == (17_500, 0)
    assert provider.message[0]["fileData"]["mimeType"] == "video/mp4"


async def test_all_are_sent_before_the_first_is_waited_for(gateway: Gateway, provider: FakeProvider) -> None:
    provider.states = ["PROCESSING", "PROCESSING", "ACTIVE"]
    parts = [image(store(gateway, PNG, "image/png")) for _ in range(2)]
    assert (await ask(gateway, "google", *parts)).status == 200
    assert [what.partition(" ")[0] for what in provider.asked] == ["POST"] * 4 + ["GET"] * 2 + ["POST"] + ["DELETE"] * 2
    assert [part["fileData"]["fileUri"][-2:] for part in provider.message] == ["f1", "f3"]


async def test_what_the_provider_cannot_process_is_named(gateway: Gateway, provider: FakeProvider) -> None:
    provider.states = ["PROCESSING", "FAILED"]
    part = {"type": "video", "url": store(gateway, CLIP + bytes(3000), "video/mp4")}
    answer = await ask(gateway, "google", part)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "validation_error", SPOT)
    assert (error["provider_code"], error["retryable"]) == ("FAILED", False)
    assert provider.asked[-2:] == ["GET v1beta/files/f1", "DELETE v1beta/files/f1"]


async def test_anthropic_gets_a_large_document_by_reference(gateway: Gateway, provider: FakeProvider) -> None:
    mark = {"type": "ephemeral"}
    part = {"type": "file", "file": {"file_id": store(gateway, PDF * 2, "application/pdf")}, "cache_control": mark}
    answer = await ask(gateway, "anthropic", part)
    assert answer.status == 200
    assert provider.asked == ["POST v1/files", "POST v1/messages", "DELETE v1/files/file_1"]
    assert PDF * 2 in provider.sent[0].body
    source = {"type": "file", "file_id": "file_1"}
    assert provider.message == [{"type": "document", "source": source, "title": "report.pdf", "cache_control": mark}]
    assert {request.headers["x-api-key"] for request in provider.sent} == {"provider-key"}


async def test_what_fits_stays_inline_and_the_largest_goes_first(gateway: Gateway, provider: FakeProvider) -> None:
    small = [image(store(gateway, SMALL, "image/png")) for _ in range(2)]
    document = {"type": "file", "file": {"file_id": store(gateway, PDF + bytes(1500), "application/pdf")}}
    assert (await ask(gateway, "google", *small, document)).status == 200
    assert [next(iter(part)) for part in provider.message] == ["inlineData", "inlineData", "fileData"]
    assert provider.asked.count("POST upload/v1beta/files") == 2


async def test_what_can_be_uploaded_makes_room_for_what_cannot(gateway: Gateway, provider: FakeProvider) -> None:
    office = {"type": "document", "url": store(gateway, PDF + bytes(500), DOCX)}
    paper = {"type": "document", "url": store(gateway, PDF, "application/pdf")}
    assert (await ask(gateway, "google", office, paper)).status == 200
    assert [next(iter(part)) for part in provider.message] == ["inlineData", "fileData"]


async def test_the_rest_of_the_request_counts(gateway: Gateway, provider: FakeProvider) -> None:
    picture = store(gateway, SMALL, "image/png")
    assert (await ask(gateway, "google", {"type": "text", "text": "x" * 5800}, image(picture))).status == 200
    assert provider.message[1].keys() == {"fileData"}
    provider.sent.clear()
    assert (await ask(gateway, "google", {"type": "text", "text": "x" * 5000}, image(picture))).status == 200
    assert provider.message[1].keys() == {"inlineData"}


async def test_bytes_from_the_client_itself_are_not_counted_twice(gateway: Gateway, provider: FakeProvider) -> None:
    url = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
    part = {"type": "file", "file": {"file_data": url, "filename": "a.pdf"}}
    assert (await ask(gateway, "google", part)).status == 200
    assert provider.message[0].keys() == {"inlineData"}


@pytest.mark.parametrize(
    ("model", "content_type", "body", "limit"),
    [
        ("bedrock", "application/pdf", PDF * 2, "6000"),
        ("bedrock", "image/png", PNG, "2000"),
        ("google", DOCX, PDF * 2, "6000"),
        ("anthropic", "image/bmp", PNG, "2000"),
    ],
)
async def test_what_has_no_other_way_is_refused_before_anything_is_sent(
    gateway: Gateway, provider: FakeProvider, model: str, content_type: str, body: bytes, limit: str
) -> None:
    file_id = store(gateway, body, content_type)
    part = image(file_id) if content_type.startswith("image/") else {"type": "document", "url": file_id}
    answer = await ask(gateway, model, part)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (413, "payload_too_large", SPOT)
    assert limit in error["message"]
    assert str(len(body)) in error["message"]
    assert content_type in error["message"]
    assert provider.sent == []


async def test_a_file_that_is_larger_than_the_provider_keeps(
    gateway: Gateway, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = provider_named("anthropic")
    tiny = replace(known, inline=for_every_model(InlineLimits(100)), files=AnthropicFiles("v", max_bytes=3000))
    monkeypatch.setattr(route, "provider_named", lambda _name: tiny)
    answer = await ask(gateway, "anthropic", image(store(gateway, PNG, "image/png")))
    assert (answer.status, answer.json["error"]["param"]) == (413, SPOT)
    assert "3000" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("override", "status", "code", "param"),
    [
        ({"POST v1/files": whole(500, {})}, 502, "provider_error", None),
        ({"POST v1/files": whole(401, {})}, 502, "provider_error", None),
        ({"POST v1/files": whole(404, {})}, 502, "provider_error", None),
        ({"POST v1/files": whole(429, {}, retry_after="7")}, 429, "rate_limited", None),
        ({"POST v1/files": whole(413, {})}, 413, "payload_too_large", SPOT),
        ({"POST v1/files": whole(400, {"error": {"message": "Bad."}})}, 400, "validation_error", SPOT),
        ({"POST v1/files": ProviderError("The connection to the provider failed (X).")}, 502, "provider_error", None),
        ({"POST v1/files": whole(200, {})}, 502, "provider_error", None),
    ],
)
async def test_an_upload_that_fails_is_the_providers_failure(
    gateway: Gateway, provider: FakeProvider, override: Any, status: int, code: str, param: str | None
) -> None:
    provider.overrides = override
    answer = await ask(gateway, "anthropic", image(store(gateway, PNG, "image/png")))
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (status, code, param)
    assert provider.asked == ["POST v1/files"]
    assert gateway.world.records.written[0].attempts == 1  # type: ignore[attr-defined]


async def test_nothing_is_uploaded_to_a_provider_that_is_not_asked(gateway: Gateway, provider: FakeProvider) -> None:
    health = SharedHealth(Rules(("*",)), 60_000, MemoryHealth(), clock(gateway), gateway.records)
    gateway.world = replace(gateway.world, health=health)
    provider.overrides = {"POST v1/files": whole(503, {})}
    picture = image(store(gateway, PNG, "image/png"))
    codes = [(await ask(gateway, "anthropic", picture)).json["error"]["code"] for _ in range(6)]
    assert codes == 5 * ["provider_error"] + ["circuit_open"]
    assert provider.asked == 5 * ["POST v1/files"]
    clock(gateway).unix_s += 30
    provider.overrides = {}
    assert [(await ask(gateway, "anthropic", picture)).status for _ in range(2)] == [503, 200]
    assert provider.asked[5:] == ["POST v1/files", "POST v1/messages", "DELETE v1/files/file_6"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_sent_before_a_failure_is_deleted(
    gateway: Gateway, provider: FakeProvider, stream: bool
) -> None:
    provider.overrides = {"POST v1/messages": whole(529, {"type": "error", "error": {"type": "overloaded_error"}})}
    answer = await ask(gateway, "anthropic", image(store(gateway, PNG, "image/png")), stream=stream)
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")
    assert provider.asked[-1] == "DELETE v1/files/file_1"


@pytest.mark.parametrize(("limits", "phase"), [({"total_ms": 9000}, "total"), ({"ttft_ms": 9000}, "ttft")])
async def test_processing_without_end_meets_the_deadline(
    gateway: Gateway, provider: FakeProvider, limits: dict[str, int], phase: str
) -> None:
    provider.states = ["PROCESSING"]
    part = {"type": "video", "url": store(gateway, CLIP + bytes(3000), "video/mp4")}
    answer = await ask(gateway, "google", part, timeouts=limits, stream=phase == "ttft")
    error = answer.json["error"]
    assert (answer.status, error["code"], error["phase"]) == (504, "provider_timeout", phase)
    assert sum(clock(gateway).slept) < 20
    assert provider.asked[-1] == "DELETE v1beta/files/f1"


async def test_the_client_has_its_answer_and_the_record_is_written_before_anything_is_deleted(
    gateway: Gateway, provider: FakeProvider
) -> None:
    events = [{"candidates": GEMINI_REPLY["candidates"]}, GEMINI_REPLY]
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    stream = ScriptedIncoming(200, {"content-type": "text/event-stream"}, lines)
    provider.overrides = {"POST v1beta/models": stream}
    answer = Answer()
    provider.on_request = lambda what: answer.log.append(what.partition(" ")[0])
    assert isinstance(gateway.world.records, ListRecords)
    gateway.world.records.on_write = lambda: answer.log.append("record")
    await ask(gateway, "google", image(store(gateway, PNG, "image/png")), answer=answer, stream=True)
    assert answer.events[-1] == "[DONE]"
    assert answer.log[-3:] == ["last", "record", "DELETE"]


@pytest.mark.parametrize("override", [whole(500, {}), ProviderError("gone")])
async def test_what_cannot_be_deleted_is_told_to_the_operator_alone(
    gateway: Gateway, provider: FakeProvider, override: Any
) -> None:
    provider.overrides = {"DELETE": override}
    answer = await ask(gateway, "anthropic", *[image(store(gateway, PNG, "image/png")) for _ in range(2)])
    assert answer.status == 200
    assert isinstance(gateway.world.records, ListRecords)
    [done] = gateway.world.records.written
    [left] = gateway.world.records.troubles
    assert done.event == "request.completed"
    expected = {"event": "upload.left_behind", "provider": "anthropic", "files": 2}
    assert left == {**expected, "request_id": done.request_id}


async def test_what_is_gone_already_is_not_left_behind(gateway: Gateway, provider: FakeProvider) -> None:
    provider.overrides = {"DELETE": whole(404, {})}
    await ask(gateway, "anthropic", image(store(gateway, PNG, "image/png")))
    assert gateway.world.records.troubles == []  # type: ignore[attr-defined]


async def test_a_call_that_the_wire_refuses_uploads_nothing(gateway: Gateway, provider: FakeProvider) -> None:
    file_id = store(gateway, PNG, "image/png")
    low = {"type": "image_url", "image_url": {"url": file_id, "detail": "low"}}
    for model in ("google", "anthropic"):
        answer = await ask(gateway, model, low)
        assert (answer.status, answer.json["error"]["code"]) == (400, "capability_not_supported")
    assert provider.sent == []


@pytest.mark.parametrize(
    "part",
    [
        {"type": "large", "medium": "image", "content_type": "image/png", "file": {"file_id": "file_1"}},
        {"type": "file", "file": {"file_id": "file_1"}, "data": "x"},
        {"type": "file", "file": {"file_id": "file_011CNha8iCJcU1wXNR6q4V8w"}},
        {"type": "image", "url": "file_011CNha8iCJcU1wXNR6q4V8w"},
    ],
)
async def test_a_client_cannot_name_what_others_uploaded(gateway: Gateway, provider: FakeProvider, part: Any) -> None:
    answer = await ask(gateway, "anthropic", part)
    assert answer.status in (400, 422)
    assert provider.sent == []


def test_bytes_in_base64() -> None:
    for size in range(8):
        loaded = Loaded(StoredFile(bytes(size), "image/png", ""), "image")
        assert loaded.inline_bytes == len(base64.b64encode(bytes(size)))


def test_limits_by_media_type_come_before_those_by_medium() -> None:
    limits = InlineLimits(None, {"document": 10, "application/pdf": None})
    assert limits.of_part("document", "text/csv") == 10
    assert limits.of_part("document", "application/pdf") is None
    assert limits.of_part("image", "image/png") is None


async def test_nothing_is_uploaded_for_a_call_that_has_no_place(gateway: Gateway, provider: FakeProvider) -> None:
    capped(gateway, 1, "google")
    await fill(gateway, "google")
    picture = image(store(gateway, PNG, "image/png"))
    answer = await ask(gateway, "google", picture)
    assert (answer.status, answer.json["error"]["code"], provider.asked) == (503, "overloaded", [])
    slots(gateway).held.clear()
    assert (await ask(gateway, "google", picture)).status == 200
    assert (slots(gateway).held["google"], len(provider.asked)) == ({}, 4)
