"""Batches: what goes out, and what each answer and each line of results means, whoever answers it."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from gateway.adapters.catalog import FileCatalog
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpResponse
from gateway.model.images import ImagesCall
from gateway.model.provider_errors import ProviderError, ProviderRateLimited
from gateway.providers.contract import (
    BATCH_TIER,
    BatchLimits,
    Filling,
    Frame,
    batch_input,
)
from gateway.providers.lookup import provider_named
from tests.providers.batched import (
    API,
    BATCHED,
    NOISE,
    Members,
    carrier,
    chat,
    chats,
    embedding,
    ok,
    plain,
    target,
)

# -- what goes out --------------------------------------------------------------------------------------------------


CATALOG = Path(__file__).parents[2] / "shared" / "catalog"


@pytest.mark.parametrize("provider", BATCHED)
def test_an_item_says_what_the_call_says_by_itself(provider: str) -> None:
    to = target(provider)
    alone = json.loads(provider_named(provider).wires[API[provider]].render(chat(), to).body)
    piece = json.loads(chats(provider).piece("item-1", chat(stream=False, service_tier="auto"), to))
    inside = {"anthropic": "params", "google": "request"}.get(provider, "body")
    assert piece.pop(inside) == alone
    assert (
        piece
        == {
            "openai": {"custom_id": "item-1", "method": "POST", "url": "/v1/chat/completions"},
            "groq": {"custom_id": "item-1", "method": "POST", "url": "/v1/chat/completions"},
            "mistral": {"custom_id": "item-1"},
            "anthropic": {"custom_id": "item-1"},
            "google": {"key": "item-1"},
        }[provider]
    )


@pytest.mark.parametrize("provider", BATCHED)
@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"stream": True}, "stream"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"provider_options": {"P": {"serviceTier": "flex"}}}, "provider_options.P.serviceTier"),
    ],
)
def test_what_no_batch_honours_is_refused_by_name(provider: str, members: Members, param: str) -> None:
    if "provider_options" in members:
        members = {"provider_options": {provider: members["provider_options"]["P"]}}
    with pytest.raises(CapabilityNotSupported) as refused:
        chats(provider).piece("item-1", chat(**members), target(provider))
    assert refused.value.param == param.replace("P.", f"{provider}.")


@pytest.mark.parametrize("option", [{"betas": ["context-1m-2025-08-07"]}, {"speed": "fast"}])
def test_anthropic_takes_some_options_for_whole_batches_or_not_at_all(option: Members) -> None:
    with pytest.raises(CapabilityNotSupported, match=next(iter(option))):
        chats("anthropic").piece("i", chat(provider_options={"anthropic": option}), target("anthropic"))


def test_an_item_of_responses_and_one_of_images() -> None:
    wires = provider_named("openai").batches
    said = json.loads(wires.chat["responses"].piece("i", chat(), target("openai", "o3-pro", "responses")))
    assert (said["url"], said["body"]["model"], "background" in said["body"]) == ("/v1/responses", "o3-pro", False)
    picture = ImagesCall(model="x", prompt="A cat")
    painted = json.loads(wires.images["images"].piece("i", picture, target("openai", "gpt-image-2", "images")))
    assert (painted["url"], painted["body"]["prompt"]) == ("/v1/images/generations", "A cat")
    with pytest.raises(CapabilityNotSupported):
        wires.images["images"].piece(
            "i", ImagesCall(model="x", prompt="A", stream=True), target("openai", "gpt-image-2")
        )
    google = target("google", "gemini-2.5-flash-image")
    drawn = json.loads(provider_named("google").batches.images["generate_content"].piece("i", picture, google))
    assert drawn["request"]["contents"][0]["parts"] == [{"text": "A cat"}]


def test_an_item_of_embeddings() -> None:
    call = EmbeddingsCall(model="x", input=["one", "two"], dimensions=8)
    said = json.loads(embedding("openai").piece("i", call, target("openai", "text-embedding-3-small")))
    assert said["url"] == "/v1/embeddings"
    assert said["body"] == {"model": "text-embedding-3-small", "input": ["one", "two"], "dimensions": 8}
    with pytest.raises(CapabilityNotSupported) as refused:
        embedding("google").piece("i", call, target("google", "gemini-embedding-001"))
    assert refused.value.param == "input"
    one = EmbeddingsCall(model="x", input="one", dimensions=8)
    asked = json.loads(embedding("google").piece("i", one, target("google", "gemini-embedding-001")))
    assert asked == {"key": "i", "request": {"content": {"parts": [{"text": "one"}]}, "outputDimensionality": 8}}


@pytest.mark.parametrize("provider", BATCHED)
def test_an_input_is_one_document_of_its_pieces(provider: str) -> None:
    wire, to = chats(provider), target(provider)
    pieces = [wire.piece(f"i{number}", chat(f"line\n{number}"), to) for number in range(3)]
    whole = b"".join(batch_input(pieces, wire.frame))
    if provider == "anthropic":
        assert json.loads(whole)["requests"] == [json.loads(piece) for piece in pieces]
    else:
        assert whole.endswith(b"\n")
        assert [json.loads(line) for line in whole.splitlines()] == [json.loads(piece) for piece in pieces]


def test_a_large_batch_is_never_whole_in_memory() -> None:
    """Neither on its way out nor, as lines that are no results but as long, on its way back."""
    wire, to, text, count = chats("openai"), target("openai"), "x" * 2_000, 2_000
    parser = wire.parser(to)
    tracemalloc.start()
    pieces = (wire.piece(f"i{number}", chat(text), to) for number in range(count))
    size = found = 0
    for data in batch_input(pieces, wire.frame):
        size += len(data)
        found += sum(1 for _ in parser.feed(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (size > 4_000_000, found) == (True, count)
    assert peak < 400_000


@pytest.mark.parametrize(
    ("limits", "inputs", "taken"),
    [
        (BatchLimits(items=None, size_bytes=21, window_s=1), 0, 2),
        (BatchLimits(items=None, size_bytes=22, window_s=1), 0, 3),
        (BatchLimits(items=1, size_bytes=100, window_s=1), 0, 1),
        (BatchLimits(items=None, size_bytes=100, window_s=1, inputs=5), 2, 2),
        (BatchLimits(items=None, size_bytes=5, window_s=1), 0, 0),
    ],
)
def test_a_batch_is_filled_up_to_what_its_provider_takes(limits: BatchLimits, inputs: int, taken: int) -> None:
    """Its size is that of the whole input, with all that stands around the pieces."""
    frame = Frame(b"[", b",", b"]")
    filling = Filling(limits, frame)
    assert [filling.takes(b"x" * 6, inputs) for _ in range(4)] == [place < taken for place in range(4)]
    assert filling.items == taken


# -- how it is sent, looked at, stopped and forgotten ---------------------------------------------------------------


def test_openai_is_sent_a_form_with_the_file_in_it() -> None:
    wire, to = chats("openai"), target("openai")
    form = carrier(wire.upload(10, to, NOISE))
    assert (form.request.method, form.request.url) == ("POST", "https://api.openai.com/v1/files")
    assert form.request.headers["content-type"] == f"multipart/form-data; boundary=batch-{NOISE}"
    before, after = form.request.body.decode(), form.after.decode()
    assert before.count(f"--batch-{NOISE}\r\n") == 4
    assert 'name="purpose"\r\n\r\nbatch\r\n' in before
    assert 'name="expires_after[seconds]"\r\n\r\n259200\r\n' in before
    assert before.endswith('filename="batch.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n')
    assert after == f"\r\n--batch-{NOISE}--\r\n"
    assert form.size_bytes(10) == len(before) + 10 + len(after)
    assert wire.follow(ok(id="file-1", object="file"), 10, to) == "file-1"
    created = plain(wire.create("file-1", "batch_7/0", to))
    assert (created.method, created.url) == ("POST", "https://api.openai.com/v1/batches")
    assert json.loads(created.body) == {
        "input_file_id": "file-1",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"label": "batch_7/0"},
        "output_expires_after": {"anchor": "created_at", "seconds": 259_200},
    }


def test_groqs_files_do_not_expire() -> None:
    wire, to = chats("groq"), target("groq")
    form = carrier(wire.upload(10, to, NOISE))
    assert form.request.url == "https://api.groq.com/openai/v1/files"
    assert b"expires_after" not in form.request.body
    assert "output_expires_after" not in json.loads(plain(wire.create("f", "l", to)).body)


def test_mistral_is_sent_a_file_and_told_the_model() -> None:
    wire, to = chats("mistral"), target("mistral")
    form = carrier(wire.upload(10, to, NOISE))
    assert (form.request.url, b"expires_after" in form.request.body) == ("https://api.mistral.ai/v1/files", False)
    created = plain(wire.create("file", "label", to))
    assert created.url == "https://api.mistral.ai/v1/batch/jobs"
    assert json.loads(created.body) == {
        "input_files": ["file"],
        "model": "mistral-small-latest",
        "endpoint": "/v1/chat/completions",
        "timeout_hours": 24,
        "metadata": {"label": "label"},
    }


def test_anthropic_is_sent_all_in_one() -> None:
    wire, to = chats("anthropic"), target("anthropic")
    assert wire.upload(10, to, NOISE) is None
    created = carrier(wire.create(None, "label", to))
    assert created.request.url == "https://api.anthropic.com/v1/messages/batches"
    assert created.request.headers == {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    assert created.size_bytes(10) == 10
    with pytest.raises(ProviderError):
        wire.follow(ok(), 10, to)


def test_google_is_told_the_size_and_sent_the_file() -> None:
    wire, to = chats("google"), target("google")
    announced = plain(wire.upload(10, to, NOISE))
    assert announced.url == "https://generativelanguage.googleapis.com/upload/v1beta/files"
    assert announced.headers["x-goog-upload-header-content-length"] == "10"
    assert announced.headers["x-goog-upload-header-content-type"] == "application/jsonl"
    place = "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=u"
    sent = carrier(
        wire.follow(HttpResponse(200, {"x-goog-upload-status": "active", "x-goog-upload-url": place}), 10, to)
    )
    assert (sent.request.url, sent.request.body, sent.after) == (place, b"", b"")
    assert sent.request.headers["x-goog-upload-command"] == "upload, finalize"
    file = wire.follow(ok(file={"name": "files/abc", "uri": "https://x/files/abc"}), 10, to)
    assert file == "files/abc"
    created = plain(wire.create("files/abc", "label", to))
    assert created.url.endswith("/v1beta/models/gemini-x:batchGenerateContent")
    assert json.loads(created.body) == {"batch": {"displayName": "label", "inputConfig": {"fileName": "files/abc"}}}
    vectors = plain(embedding("google").create("files/abc", "label", target("google", "gemini-embedding-001")))
    assert vectors.url.endswith("/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent")


PLACES = {
    "mistral": ("b/1", "file/2", "/batch/jobs/b%2F1", "/batch/jobs/b%2F1/cancel", "/files/file%2F2/content"),
    "openai": ("b/1", "file/2", "/batches/b%2F1", "/batches/b%2F1/cancel", "/files/file%2F2/content"),
    "anthropic": (
        *("b/1", "b/1", "/v1/messages/batches/b%2F1", "/v1/messages/batches/b%2F1/cancel"),
        "/v1/messages/batches/b%2F1/results",
    ),
    "google": (
        *("batches/1", "files/batch-2", "/v1beta/batches/1", "/v1beta/batches/1:cancel"),
        "/download/v1beta/files/batch-2:download?alt=media",
    ),
}


@pytest.mark.parametrize("provider", PLACES)
def test_where_it_is_looked_at_stopped_and_read(provider: str) -> None:
    wire, to = chats(provider), target(provider)
    remote_id, output, *places = PLACES[provider]
    asked = [wire.look(remote_id, to), wire.cancel(remote_id, to), wire.results(output, to)]
    assert [request.method for request in asked] == ["GET", "POST", "GET"]
    assert [request.url.removeprefix(to.base_url) for request in asked] == places


def test_what_is_forgotten() -> None:
    def gone(provider: str, remote_id: str, *files: str) -> list[str]:
        to = target(provider)
        requests = chats(provider).forget(remote_id, files, to)
        assert {request.method for request in requests} == {"DELETE"}
        return [request.url.removeprefix(to.base_url) for request in requests]

    assert gone("openai", "b", "in", "out") == ["/files/in", "/files/out"]
    assert gone("anthropic", "b", "b") == ["/v1/messages/batches/b"]
    assert gone("google", "batches/b", "files/in", "files/out") == [
        *("/v1beta/files/in", "/v1beta/files/out", "/v1beta/batches/b")
    ]


def test_a_file_that_is_none_leads_nowhere() -> None:
    for name in ("files/../secret", "https://evil.example/x", "files/a/b"):
        with pytest.raises(ProviderError):
            chats("google").results(name, target("google"))


@pytest.mark.parametrize("provider", BATCHED)
def test_a_refusal_means_what_it_means_elsewhere(provider: str) -> None:
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow","code":429}}'
    assert isinstance(chats(provider).fail(HttpResponse(429, {}, body), target(provider)), ProviderRateLimited)
    gone = chats(provider).fail(HttpResponse(404, {}, b"{}"), target(provider))
    assert type(gone) is ProviderError  # no model is missing
    assert "batches" in gone.message


# -- facts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", BATCHED)
def test_what_the_catalog_says_can_be_batched_has_a_wire_and_a_price(provider: str) -> None:
    batches = provider_named(provider).batches
    apis = {*batches.chat, *batches.embeddings, *batches.images}
    every = [facts for name, facts in FileCatalog(CATALOG).models() if name == provider]
    models = [facts for facts in every if "batch" in facts.capabilities]
    assert models
    assert {facts.id for facts in models if facts.api not in apis or BATCH_TIER not in facts.service_tiers} == set()
