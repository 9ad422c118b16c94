"""Media types that a provider documents as unreadable are refused by name; every text is one, and office files go where
they are read."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.adapters.catalog import FileCatalog
from gateway.model.errors import CapabilityNotSupported
from gateway.model.file import StoredFile
from gateway.model.media_type import DOCX, PPTX, XLSX, is_text
from gateway.pipeline.large_media import Loaded
from gateway.pipeline.parts import Spot
from gateway.pipeline.readable import check_readable
from gateway.pipeline.route import CHAT, ChatRoute, Route
from gateway.providers.lookup import provider_named
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import HELLO
from tests.unit.test_media import PDF, PNG, data_url

CATALOG = FileCatalog(Path(__file__).parents[2] / "shared" / "catalog")
GEMINI, CLAUDE, GPT = "google/gemini-3.5-flash", "anthropic/claude-haiku-4-5", "openai/gpt-5.5"
SPOT = Spot(0, 1)


def route(model: str) -> ChatRoute:
    name, _, model_id = model.partition("/")
    facts, provider = CATALOG.find(name, model_id), provider_named(name)
    assert facts is not None
    return Route(provider, facts, CHAT.wires(provider)[facts.api])


def judged(model: str, medium: Any, content_type: str) -> None:
    check_readable({SPOT: Loaded(StoredFile(b"x", content_type, ""), medium)}, route(model))


@pytest.mark.parametrize(
    ("model", "medium", "content_type"),
    [
        (GEMINI, "document", DOCX),
        (GEMINI, "document", XLSX),
        (GEMINI, "image", "image/gif"),
        (GEMINI, "image", "image/tiff"),
        (GEMINI, "video", "video/x-matroska"),
        ("vertex/gemini-3.5-flash", "document", PPTX),
        (CLAUDE, "image", "image/heic"),
        (CLAUDE, "document", DOCX),
        ("vertex/claude-haiku-4-5@20251001", "image", "image/bmp"),
        (GPT, "image", "image/heic"),
        (GPT, "document", "application/zip"),
        ("openai/gpt-audio", "audio", "audio/flac"),
        ("openai/gpt-audio", "audio", "audio/mp4"),
        ("azure/gpt-5.5", "document", DOCX),
        ("xai/grok-4.3", "image", "image/webp"),
        ("mistral/mistral-medium-2604", "image", "image/tiff"),
        ("openrouter/google/gemini-2.5-flash", "document", DOCX),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(model: str, medium: Any, content_type: str) -> None:
    with pytest.raises(CapabilityNotSupported, match=content_type.replace("+", r"\+")) as refused:
        judged(model, medium, content_type)
    assert (refused.value.param, refused.value.message.split()[0]) == (SPOT.param, model)


@pytest.mark.parametrize(
    ("model", "medium", "content_type"),
    [
        *((model, "document", text) for model in (GEMINI, CLAUDE, GPT) for text in ("application/json", "text/csv")),
        *((model, "document", "application/pdf") for model in (GEMINI, CLAUDE, GPT, "azure/gpt-5.5")),
        *((GPT, "document", office) for office in (DOCX, XLSX, PPTX)),
        (GEMINI, "image", "image/heic"),
        (CLAUDE, "image", "image/gif"),
        ("openai/gpt-audio", "audio", "audio/mpeg"),
        ("bedrock/anthropic.claude-sonnet-4-6", "document", DOCX),
        ("together/moonshotai/Kimi-K2.6", "image", "image/heic"),
    ],
)
def test_what_can_be_read_or_is_not_known_passes(model: str, medium: Any, content_type: str) -> None:
    judged(model, medium, content_type)


def office(kind: str) -> bytes:
    """A zip directory with the names that tell a document of this kind."""
    import io  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr(kind, "")
    return body.getvalue()


WORD = office("word/document.xml")
TEXTS = [
    ("text/plain", b"Hi"),
    ("text/csv", b"a,b\n1,2\n"),
    ("application/json", b'{"a": 1}'),
    ("text/markdown", b"# A"),
]


def file(content_type: str, body: bytes, name: str = "a") -> dict[str, Any]:
    return {"type": "file", "file": {"filename": name, "file_data": data_url(content_type, body)}}


async def sent(gateway: Gateway, *parts: dict[str, Any], **members: Any) -> tuple[str, dict[str, Any]]:
    """Path and body of the request to OpenAI."""
    facts = msgspec.structs.replace(FACTS, source="x", input=("text", "image", "document"), capabilities=("tools",))
    gateway.world.catalog.held["openai"]["gpt-4o"] = facts  # type: ignore[attr-defined]
    output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}]
    message = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    gateway.answers(
        200, json.dumps({"id": "a", "status": "completed", "output": output, "choices": [message]}).encode()
    )
    answer = await gateway.chat({**HELLO, **members, "messages": [{"role": "user", "content": list(parts)}]})
    assert answer.json["choices"][0]["message"]["content"] == "Hi"
    request = gateway.outbound.sent[-1]
    return request.url.removeprefix("https://api.openai.com/v1/"), json.loads(request.body)


@pytest.mark.parametrize(("content_type", "body"), TEXTS)
async def test_a_document_that_is_text_goes_as_text(gateway: Gateway, content_type: str, body: bytes) -> None:
    path, request = await sent(gateway, file(content_type, body, "notes"))
    assert path == "chat/completions"
    assert request["messages"][0]["content"] == [{"type": "text", "text": f"notes:\n{body.decode()}"}]


async def test_a_word_document_goes_by_the_api_that_reads_it(gateway: Gateway) -> None:
    path, request = await sent(gateway, file(DOCX, WORD, "a.docx"), file("text/plain", b"Hi", "b.txt"))
    assert path == "responses"
    assert request["input"][0]["content"] == [
        {"type": "input_file", "filename": "a.docx", "file_data": data_url(DOCX, WORD)},
        {"type": "input_text", "text": "b.txt:\nHi"},
    ]


async def test_a_pdf_and_a_picture_stay_with_the_usual_api(gateway: Gateway) -> None:
    picture = {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}}
    path, request = await sent(gateway, file("application/pdf", PDF, "a.pdf"), picture)
    assert (path, request["messages"][0]["content"]) == (
        "chat/completions",
        [file("application/pdf", PDF, "a.pdf"), picture],
    )


async def test_a_refusal_costs_no_call(gateway: Gateway) -> None:
    facts = msgspec.structs.replace(FACTS, source="x", input=("text", "image"))
    gateway.world.catalog.held["openai"]["gpt-4o"] = facts  # type: ignore[attr-defined]
    tiff = {"type": "image_url", "image_url": {"url": data_url("image/tiff", b"II*\0" + bytes(20))}}
    answer = await gateway.chat({**HELLO, "messages": [{"role": "user", "content": [tiff]}]})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "capability_not_supported", "messages[0].content[0]")
    assert "image/tiff" in error["message"]
    assert gateway.outbound.sent == []


@pytest.mark.parametrize(
    ("media_type", "is_one"),
    [
        ("text/plain", True),
        ("application/json", True),
        ("application/x-yaml", True),
        ("image/svg+xml", True),
        ("application/pdf", False),
        (DOCX, False),
        ("audio/wav", False),
    ],
)
def test_what_is_text(media_type: str, is_one: bool) -> None:
    assert is_text(media_type) is is_one


@pytest.mark.parametrize("model", [CLAUDE, GEMINI, "bedrock/anthropic.claude-sonnet-4-6"])
def test_json_is_text_to_all(model: str) -> None:
    from gateway.model.chat import ChatCall  # noqa: PLC0415
    from gateway.providers.contract import Target  # noqa: PLC0415

    chosen = route(model)
    content = [{"type": "text", "text": "See"}, file("application/json", b"{}", "a.json")]
    call = msgspec.convert({"model": model, "messages": [{"role": "user", "content": content}]}, ChatCall)
    body = json.loads(chosen.wire.render(call, Target(chosen.provider.name, chosen.facts, "https://x.example")).body)
    coded = base64.b64encode(b"{}").decode()
    part = (body.get("contents") or body["messages"])[0][("parts" if "contents" in body else "content")][1]
    assert part in (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "{}"}, "title": "a.json"},
        {"inlineData": {"mimeType": "text/plain", "data": coded}},
        {"document": {"format": "txt", "name": "a", "source": {"bytes": coded}}},
    )
