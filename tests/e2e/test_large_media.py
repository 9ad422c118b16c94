"""Media too large to go inline, through the deployed gateway: the bytes arrive unchanged, and are taken back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.simulators.media import CLIP, PAPER, PICTURE, SOUND
from tests.e2e.conftest import Gateway
from tests.e2e.test_files import announce, upload

pytestmark = pytest.mark.stack
GOOGLE, CLAUDE = "google/gemini-2.5-flash", "anthropic/claude-haiku-4-5"
MB = 10**6
TEXT = b"All work and no play makes Jack a dull boy.\n"
PICTURES = ("image", "image/png", PICTURE)
PAPERS = ("document", "application/pdf", PAPER)
CLIPS = ("video", "video/mp4", CLIP)
SOUNDS = ("audio", "audio/wav", SOUND)
TEXTS = ("document", "text/plain", TEXT)
"""With a long rule behind it, which may be few tokens: so much of words would fit no context."""


@pytest.fixture
def journal(local: Gateway) -> Iterator[httpx.Client]:
    """The simulators' request log, empty at first, and no faults armed after."""
    with httpx.Client(base_url=f"{local.simulators}/_sim", timeout=30) as client:
        client.delete("/requests")
        yield client
        client.delete("/faults")


def store(
    http: httpx.Client, kind: tuple[str, str, bytes], size: int, extra: bytes = b""
) -> tuple[dict[str, Any], str]:
    """A part that points at a stored file of this size, and the SHA-256 of its bytes."""
    medium, content_type, start = kind
    filler = b"=" * size if kind is TEXTS else bytes(size)
    data = (start + extra + filler)[:size]
    file = announce(http, data, filename="file", content_type=content_type, purpose="user_data")
    assert upload(file, data).status_code == 200
    assert http.post(f"/files/{file['id']}/complete").json()["status"] == "processed"
    return {"type": medium, "url": file["id"]}, hashlib.sha256(data).hexdigest()


def ask(http: httpx.Client, model: str, *parts: dict[str, Any], **members: Any) -> httpx.Response:
    content = [{"type": "text", "text": "Look"}, *parts]
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 500, **members}
    return http.post("/chat/completions", json=body)


def said(answer: httpx.Response, stream: bool) -> str:
    if not stream:
        return str(answer.json()["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


def logged(journal: httpx.Client, provider: str) -> list[dict[str, Any]]:
    requests: list[dict[str, Any]] = journal.get("/requests", params={"provider": provider}).json()["requests"]
    return requests


def deleted(journal: httpx.Client, provider: str) -> list[str]:
    """SHA-256 of every file that was uploaded, once all of them are deleted."""
    uploads = [entry["file"] for entry in logged(journal, provider) if entry["file"] and entry["method"] == "POST"]
    for file in uploads:
        timeline = journal.get(f"/timeline/deleted-{file['id']}", params={"wait": "end", "timeout_s": 10})
        assert timeline.json()["ended"], timeline.text
    gone = [entry["file"] for entry in logged(journal, provider) if entry["method"] == "DELETE"]
    assert sorted(file["id"] for file in gone) == sorted(file["id"] for file in uploads)
    assert all(file["deleted"] for file in gone)
    return [file["sha256"] for file in gone]


@pytest.mark.parametrize(
    ("model", "kind", "size"),
    [
        (GOOGLE, PICTURES, 16 * MB),
        (GOOGLE, PAPERS, 16 * MB),
        (GOOGLE, CLIPS, 40 * MB),
        (GOOGLE, SOUNDS, 16 * MB),
        (GOOGLE, TEXTS, 16 * MB),
        (CLAUDE, PICTURES, 9 * MB),
        (CLAUDE, PAPERS, 25 * MB),
        (CLAUDE, TEXTS, 25 * MB),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else None,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_large_media_arrive_unchanged_and_are_deleted(
    http: httpx.Client, journal: httpx.Client, model: str, kind: tuple[str, str, bytes], size: int, stream: bool
) -> None:
    part, digest = store(http, kind, size)
    answer = ask(http, model, part, stream=stream)
    assert answer.status_code == 200, answer.text
    assert f"file {kind[1]} {size} bytes]" in said(answer, stream)
    provider = model.partition("/")[0]
    assert deleted(journal, provider) == [digest]
    (call,) = [entry for entry in logged(journal, provider) if entry["model"] not in ("files", "")]
    assert call["body_bytes"] < 10_000


def test_the_sum_counts_and_the_small_stay_inline(http: httpx.Client, journal: httpx.Client) -> None:
    small, _ = store(http, PICTURES, 3 * MB)
    large, digest = store(http, PICTURES, 13 * MB)
    text = said(ask(http, GOOGLE, small, large), stream=False)
    assert f"[image image/png {3 * MB} bytes]" in text
    assert f"[image file image/png {13 * MB} bytes]" in text
    assert deleted(journal, "google") == [digest]


def test_words_that_fit_no_context_are_not_even_uploaded(http: httpx.Client, journal: httpx.Client) -> None:
    part, _ = store(http, TEXTS, 16 * MB, TEXT * 300_000)
    answer = ask(http, GOOGLE, part)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "validation_error", "messages")
    assert logged(journal, "google") == []


def test_waiting_for_a_video_is_not_overhead(http: httpx.Client, journal: httpx.Client) -> None:
    part, _ = store(http, CLIPS, 16 * MB)
    report = ask(http, GOOGLE, part).json()["gateway"]
    assert report["latency_ms"] > 500
    assert report["overhead_ms"] < report["latency_ms"] - 500
    assert [entry["status"] for entry in logged(journal, "google") if entry["method"] == "GET"] == [200]


def test_a_video_that_cannot_be_processed(http: httpx.Client, journal: httpx.Client) -> None:
    part, digest = store(http, CLIPS, 16 * MB, extra=b"sim:failed")
    answer = ask(http, GOOGLE, part)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "validation_error", "messages[0].content[1]")
    assert deleted(journal, "google") == [digest]


def test_a_video_that_is_never_ready(http: httpx.Client, journal: httpx.Client) -> None:
    part, digest = store(http, CLIPS, 16 * MB, extra=b"sim:processing")
    answer = ask(http, GOOGLE, part, timeouts={"total_ms": 3000})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["phase"]) == (504, "provider_timeout", "total")
    assert deleted(journal, "google") == [digest]


@pytest.mark.parametrize(("model", "kind"), [(GOOGLE, CLIPS), (CLAUDE, PAPERS)], ids=["google", "anthropic"])
def test_an_upload_that_the_provider_refuses(
    http: httpx.Client, journal: httpx.Client, model: str, kind: tuple[str, str, bytes]
) -> None:
    part, _ = store(http, kind, 25 * MB)
    provider = model.partition("/")[0]
    journal.post("/faults", json={"provider": provider, "model": "files", "fault": "status=503"})
    answer = ask(http, model, part)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")
    assert {entry["model"] for entry in logged(journal, provider)} == {"files"}
    assert ask(http, model, part).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_call_that_fails_leaves_nothing_behind(http: httpx.Client, journal: httpx.Client, stream: bool) -> None:
    part, digest = store(http, PAPERS, 25 * MB)
    answer = ask(http, CLAUDE, part, {"type": "text", "text": "[[status=529]]"}, stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")
    assert deleted(journal, "anthropic") == [digest]


@pytest.mark.parametrize(
    ("model", "kind", "size", "limit"),
    [
        ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", PICTURES, 4 * MB, "3932160"),
        ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", PAPERS, 16 * MB, "20971520"),
        ("vertex/gemini-2.5-flash", PICTURES, 8 * MB, "7340032"),
        ("vertex/claude-haiku-4-5@20251001", PAPERS, 24 * MB, "31457280"),
    ],
)
def test_where_there_is_no_upload_the_limit_is_named(
    http: httpx.Client, journal: httpx.Client, model: str, kind: tuple[str, str, bytes], size: int, limit: str
) -> None:
    part, _ = store(http, kind, size)
    answer = ask(http, model, part)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (413, "payload_too_large", "messages[0].content[1]")
    assert limit in error["message"]
    assert str(size) in error["message"]
    assert logged(journal, model.partition("/")[0]) == []
