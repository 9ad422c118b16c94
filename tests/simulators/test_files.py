"""The simulated APIs for files, driven by the unmodified official SDKs, and what they refuse."""

from __future__ import annotations

import hashlib
import io

import anthropic
import httpx
import pytest
from google import genai
from google.genai import errors, types

from tests.simulators.process import KEY, Simulator

CLIP = b"\0\0\0\x18ftypisom" + bytes(5000)
PAPER = b"%PDF-1.7\n--no-boundary\r\n\r\n" + bytes(range(256)) * 20


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def send(client: genai.Client, data: bytes, content_type: str) -> types.File:
    return client.files.upload(file=io.BytesIO(data), config={"mime_type": content_type})


def test_googles_sdk_uploads_looks_uses_and_deletes(google_client: genai.Client, simulator: Simulator) -> None:
    file = send(google_client, CLIP, "video/mp4")
    assert file.name
    assert (file.state, file.size_bytes, file.mime_type) == (types.FileState.PROCESSING, len(CLIP), "video/mp4")
    with pytest.raises(errors.ClientError) as early:
        google_client.models.generate_content(model="gemini-2.5-flash", contents=[file])
    assert (early.value.code, early.value.status) == (400, "FAILED_PRECONDITION")
    file = google_client.files.get(name=file.name or "")
    assert file.state == types.FileState.ACTIVE
    reply = google_client.models.generate_content(model="gemini-2.5-flash", contents=[file, "Look"])
    assert f"[video file video/mp4 {len(CLIP)} bytes]" in (reply.text or "")
    google_client.files.delete(name=file.name or "")
    with pytest.raises(errors.ClientError) as gone:
        google_client.files.get(name=file.name or "")
    assert (gone.value.code, gone.value.status) == (403, "PERMISSION_DENIED")
    logged = [entry["file"] for entry in simulator.control("GET", "requests")["requests"] if entry["file"]]
    assert {entry["sha256"] for entry in logged} == {sha256(CLIP)}
    assert [entry.get("deleted", False) for entry in logged] == [False, False, True]


def test_processing_may_fail_and_may_never_end(google_client: genai.Client) -> None:
    failed = send(google_client, CLIP + b"sim:failed", "video/mp4")
    assert failed.state == types.FileState.FAILED
    assert failed.error
    endless = send(google_client, CLIP + b"sim:processing", "video/mp4")
    for _ in range(3):
        assert google_client.files.get(name=endless.name or "").state == types.FileState.PROCESSING


def test_anthropics_sdk_uploads_describes_uses_and_deletes(
    anthropic_client: anthropic.Anthropic, simulator: Simulator
) -> None:
    file = anthropic_client.files.upload(file=("a.pdf", PAPER, "application/pdf"), expires_in_seconds=3600)
    assert (file.mime_type, file.size_bytes, file.downloadable) == ("application/pdf", len(PAPER), False)
    assert file.expires_at
    assert (file.expires_at - file.created_at).total_seconds() == 3600
    assert anthropic_client.files.retrieve_metadata(file.id).id == file.id
    source: anthropic.types.FileDocumentSourceParam = {"type": "file", "file_id": file.id}
    content: list[anthropic.types.ContentBlockParam] = [
        {"type": "document", "source": source},
        {"type": "text", "text": "Look"},
    ]
    reply = anthropic_client.messages.create(
        model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": content}]
    )
    assert reply.content[0].type == "text"
    assert f"[document file application/pdf {len(PAPER)} bytes]" in reply.content[0].text
    assert anthropic_client.files.delete(file.id).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        anthropic_client.messages.create(
            model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": content}]
        )
    logged = [entry["file"] for entry in simulator.control("GET", "requests")["requests"] if entry["file"]]
    assert {entry["sha256"] for entry in logged} == {sha256(PAPER)}


def test_with_the_old_beta_there_is_no_expiry(anthropic_client: anthropic.Anthropic) -> None:
    file = anthropic_client.beta.files.upload(file=("a.pdf", PAPER, "application/pdf"), betas=["files-api-2025-04-14"])
    assert "expires_at" not in file.to_dict()


def test_an_image_is_no_document(anthropic_client: anthropic.Anthropic) -> None:
    file = anthropic_client.files.upload(file=("a.png", b"png", "image/png"))
    source: anthropic.types.FileDocumentSourceParam = {"type": "file", "file_id": file.id}
    with pytest.raises(anthropic.BadRequestError):
        anthropic_client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=100,
            messages=[{"role": "user", "content": [{"type": "document", "source": source}]}],
        )


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}, b"12345", 200),
        ({"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}, b"1234", 400),
        ({"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "1"}, b"12345", 400),
        ({"x-goog-upload-offset": "0"}, b"12345", 400),
    ],
)
def test_an_upload_keeps_to_what_was_announced(
    simulator: Simulator, headers: dict[str, str], body: bytes, status: int
) -> None:
    announced = {
        "x-goog-api-key": KEY,
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": "5",
        "x-goog-upload-header-content-type": "text/plain",
    }
    begun = httpx.post(f"{simulator.url}/google/upload/v1beta/files", headers=announced, json={"file": {}})
    sent = httpx.post(begun.headers["x-goog-upload-url"], headers=headers, content=body)
    assert sent.status_code == status
    again = httpx.post(begun.headers["x-goog-upload-url"], headers=headers, content=body)
    assert again.status_code == 404


def test_requests_and_pictures_that_are_too_large(anthropic_client: anthropic.Anthropic, simulator: Simulator) -> None:
    source: anthropic.types.Base64ImageSourceParam = {
        "type": "base64",
        "media_type": "image/png",
        "data": "A" * (10 * 2**20 + 4),
    }
    with pytest.raises(anthropic.BadRequestError):
        anthropic_client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=100,
            messages=[{"role": "user", "content": [{"type": "image", "source": source}]}],
        )
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    large = httpx.post(f"{simulator.url}/anthropic/v1/messages", headers=headers, content=bytes(32 * 2**20 + 1))
    assert (large.status_code, large.json()["error"]["type"]) == (413, "request_too_large")
    url = f"{simulator.url}/google/v1beta/models/gemini-2.5-flash:generateContent?key={KEY}"
    assert httpx.post(url, content=bytes(20 * 2**20 + 1)).status_code == 400


def test_a_fault_of_the_files_alone(anthropic_client: anthropic.Anthropic, simulator: Simulator) -> None:
    order = {"provider": "anthropic", "model": "files", "fault": "status=503"}
    simulator.control("POST", "faults", json=order)
    with pytest.raises(anthropic.InternalServerError):
        anthropic_client.files.upload(file=("a.pdf", PAPER, "application/pdf"))
    assert anthropic_client.files.upload(file=("a.pdf", PAPER, "application/pdf")).id
