"""APIs for files: what is sent, what the answers mean, and the recordings of the real ones."""

from __future__ import annotations

import csv
import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import FileRef, LargePart, UserMessage
from gateway.model.errors import CapabilityNotSupported
from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderRateLimited, ProviderRefusedSize, ProviderRejected
from gateway.providers.contract import FileApi, RemoteFile, Target
from gateway.providers.lookup import provider_named
from gateway.providers.wire.anthropic_content import conversation
from gateway.providers.wire.gemini_media import media_part
from tests.providers import replay

PDF = StoredFile(b"%PDF-1.7\r\n--" + bytes(range(256)), "application/pdf", 'quarter "3".pdf')
CLIP = StoredFile(b"\0\0\0\x18ftypisom", "video/mp4", "clip.mp4")
NOISE = "0123456789abcdef0123456789abcdef"


def api(provider: str) -> tuple[FileApi, Target]:
    found = provider_named(provider)
    assert found.files is not None
    return found.files, Target(provider, ModelFacts(id="m", name="M"), found.base_url or "")


def answer(status: int, body: Any, **headers: str) -> HttpResponse:
    return HttpResponse(
        status, {name.replace("_", "-"): text for name, text in headers.items()}, json.dumps(body).encode()
    )


def form(request: HttpRequest) -> dict[str, tuple[str, str | None, Any]]:
    """Name: (content type, file name, content), read by the standard library."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts()
    return {
        str(part.get_param("name", header="content-disposition")): (
            part.get_content_type(),
            part.get_filename(),
            part.get_payload(decode=True),
        )
        for part in parts
    }


def test_gemini_is_told_of_an_upload_and_then_given_it() -> None:
    files, target = api("google")
    begin = files.begin(CLIP, target, NOISE)
    assert (begin.method, begin.url) == ("POST", "https://generativelanguage.googleapis.com/upload/v1beta/files")
    assert begin.headers["x-goog-upload-protocol"] == "resumable"
    assert begin.headers["x-goog-upload-command"] == "start"
    assert begin.headers["x-goog-upload-header-content-length"] == str(len(CLIP.data))
    assert begin.headers["x-goog-upload-header-content-type"] == "video/mp4"
    assert b"clip" not in begin.body

    url = "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=1&upload_protocol=resumable"
    opened = HttpResponse(200, {"x-goog-upload-status": "active", "x-goog-upload-url": url}, b"")
    upload = files.follow(opened, CLIP, target)
    assert isinstance(upload, HttpRequest)
    assert (upload.method, upload.url) == ("POST", url)
    assert upload.headers == {"x-goog-upload-offset": "0", "x-goog-upload-command": "upload, finalize"}
    assert upload.body is CLIP.data  # not copied

    file = {"name": "files/abc-123", "uri": "https://g/v1beta/files/abc-123", "mimeType": "video/mp4"}
    sent = files.follow(answer(200, {"file": {**file, "state": "PROCESSING"}}), CLIP, target)
    assert sent == RemoteFile("files/abc-123", "https://g/v1beta/files/abc-123", is_ready=False)
    assert files.found(answer(200, {**file, "state": "ACTIVE"}), target).is_ready
    assert files.found(answer(200, file), target).is_ready


def test_gemini_says_that_it_cannot_process() -> None:
    files, target = api("google")
    said = {"name": "files/a", "uri": "https://g/v1beta/files/a", "state": "FAILED"}
    failure = files.found(
        answer(200, {**said, "error": {"code": 3, "message": "Bad codec at 10.0.0.1."}}), target
    ).failure
    assert isinstance(failure, ProviderRejected)
    assert failure.message == "google could not process the media: Bad codec at [removed]."
    assert files.found(answer(200, said), target).failure is not None


@pytest.mark.parametrize(("ours", "theirs"), [("audio/mpeg", "audio/mp3"), ("audio/opus", "audio/ogg")])
def test_gemini_is_told_types_in_its_own_words(ours: str, theirs: str) -> None:
    files, target = api("google")
    begin = files.begin(StoredFile(b"x", ours, ""), target, NOISE)
    assert begin.headers["x-goog-upload-header-content-type"] == theirs
    assert media_part(large(ours), "x", "root")["fileData"]["mimeType"] == theirs


@pytest.mark.parametrize("url", ["", "http://elsewhere.example/upload", "ftp://g", "//g"])
def test_gemini_may_not_lead_an_upload_off_tls(url: str) -> None:
    files, target = api("google")
    with pytest.raises(ProviderError):
        files.follow(HttpResponse(200, {"x-goog-upload-status": "active", "x-goog-upload-url": url}), CLIP, target)


def test_anthropic_gets_one_form_that_expires() -> None:
    files, target = api("anthropic")
    request = files.begin(PDF, target, NOISE)
    assert (request.method, request.url) == ("POST", "https://api.anthropic.com/v1/files")
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "anthropic-beta" not in request.headers
    fields = form(request)
    assert fields["expires_in_seconds"][2] == b"3600"
    assert fields["file"] == ("application/pdf", "media", PDF.data)
    assert form(files.begin(StoredFile(b"a,b", "text/csv", ""), target, NOISE))["file"][0] == "text/plain"
    found = files.follow(answer(200, {"id": "file_1", "type": "file"}), PDF, target)
    assert found == RemoteFile("file_1", "file_1")


def test_the_end_of_the_form_cannot_be_guessed() -> None:
    files, target = api("anthropic")
    kinds = [files.begin(PDF, target, noise).headers["content-type"] for noise in ("0" * 32, "1" * 32)]
    assert [kind.rpartition("-")[2] for kind in kinds] == ["0" * 32, "1" * 32]


@pytest.mark.parametrize("provider", ["google", "anthropic"])
@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'{"name": "files/../models", "uri": "x", "id": "../x"}', b'{"name": 1, "id": 1}'],
)
def test_answers_that_are_not_documented(provider: str, body: bytes) -> None:
    files, target = api(provider)
    with pytest.raises(ProviderError):
        files.follow(HttpResponse(200, {}, body), PDF, target)
    with pytest.raises(ProviderError):
        files.found(HttpResponse(200, {}, body), target)


@pytest.mark.parametrize("provider", ["google", "anthropic"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, ProviderRejected), (404, ProviderError), (413, ProviderRefusedSize), (429, ProviderRateLimited)],
)
def test_a_refused_upload(provider: str, status: int, expected: type) -> None:
    files, target = api(provider)
    assert type(files.fail(answer(status, {"error": {"message": "No."}}), target)) is expected


def large(content_type: str, **members: Any) -> LargePart:
    medium = content_type.partition("/")[0]
    return LargePart(
        file=FileRef(file_id="REFERENCE", filename="a name"),
        medium=medium if medium in ("image", "audio", "video") else "document",  # type: ignore[arg-type]
        content_type=content_type,
        **members,
    )


def test_references_as_the_messages_name_them() -> None:
    assert media_part(large("video/mp4"), "x", "root") == {
        "fileData": {"mimeType": "video/mp4", "fileUri": "REFERENCE"}
    }
    mark = {"type": "ephemeral"}
    message = UserMessage(content=[large("image/png"), large("application/pdf", cache_control=mark), large("text/csv")])
    source = {"type": "file", "file_id": "REFERENCE"}
    assert conversation([message], "claude")[1][0]["content"] == [
        {"type": "image", "source": source},
        {"type": "document", "source": source, "title": "a name", "cache_control": mark},
        {"type": "document", "source": source, "title": "a name"},
    ]


def test_what_is_refused_inline_is_refused_by_reference() -> None:
    part = large("image/png", detail="low")
    with pytest.raises(CapabilityNotSupported):
        media_part(part, "x", "root")
    with pytest.raises(CapabilityNotSupported):
        conversation([UserMessage(content=[part])], "claude")
    with pytest.raises(CapabilityNotSupported):
        media_part(large("video/mp4", cache_control={"type": "ephemeral"}), "x", "root")


RECORDED = {
    "anthropic-files-008c729db323": "upload",
    "anthropic-files-6aa4ccf0d5ff": "delete",
    "anthropic-errors-34ebf6dc0a2b": "refusal",
    "gemini-files-509975a64cf6": "delete",
}
NOT_OURS = {"gemini-files-1952bff1222d": "a download of what Veo made"}


def recordings() -> dict[str, Any]:
    index = replay.ROOT / "INDEX.tsv"
    if not index.is_file():
        return {}
    with index.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["api"] == "files"]
    ours = [row for row in rows if row["file"].startswith(("gemini/", "anthropic/"))]
    return {row["id"]: json.loads((replay.ROOT / row["file"]).read_text()) for row in ours}


KEPT = recordings()


@pytest.mark.skipif(not KEPT, reason=f"no recordings at {replay.ROOT}")
def test_every_recording_is_played_or_explained() -> None:
    assert set(KEPT) == set(RECORDED) | set(NOT_OURS)


@pytest.mark.parametrize("name", RECORDED)
def test_as_recorded(name: str) -> None:
    if name not in KEPT:
        pytest.skip(f"no recordings at {replay.ROOT}")
    recorded, response = KEPT[name]["request"], KEPT[name]["response"]
    provider = replay.OURS[KEPT[name]["provider"]]
    files, target = api(provider)
    got = HttpResponse(response["status"], response["headers"], json.dumps(response["body"]).encode())
    if RECORDED[name] == "refusal":
        failure = files.fail(got, target)
        assert (type(failure), failure.provider_code) == (ProviderRejected, "invalid_request_error")
    elif RECORDED[name] == "delete":
        identity = recorded["url"].rpartition("/")[2]
        known = f"files/{identity}" if provider == "google" else identity
        request = files.delete(RemoteFile(known, known), target)
        assert (request.method, request.url) == (recorded["method"], recorded["url"])
    else:
        request = files.begin(PDF, target, NOISE)
        assert request.method == recorded["method"]
        assert replay.same_path(recorded["url"], request)
        assert recorded["headers"].keys() - request.headers.keys() == {"accept", "anthropic-beta"}
        file = files.follow(got, PDF, target)
        assert file == RemoteFile(response["body"]["id"], response["body"]["id"])


@pytest.mark.parametrize(
    ("provider", "facts", "expected"),
    [
        ("anthropic", {"api": "messages"}, (32_000_000, 7_500_000, None)),
        ("google", {"api": "generate_content"}, (20_000_000, None, None)),
        ("vertex", {"api": "messages"}, (31_457_280, 3_932_160, None)),
        ("vertex", {"api": "generate_content"}, (None, 7_340_032, None)),
        ("bedrock", {"dialect": "anthropic"}, (20_971_520, 3_932_160, None)),
        ("bedrock", {"dialect": "nova"}, (26_214_400, None, None)),
        ("bedrock", {}, (None, None, 4_718_592)),
        ("groq", {}, (4_194_304, None, None)),
        ("openai", {}, (None, None, None)),
    ],
)
def test_documented_limits(provider: str, facts: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    """Of a request, a picture and a PDF."""
    limits = provider_named(provider).inline(ModelFacts(id="m", name="M", **facts))
    of_a_pdf = limits.of_part("document", "application/pdf")
    assert (limits.request_bytes, limits.of_part("image", "image/png"), of_a_pdf) == expected
