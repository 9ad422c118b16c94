"""Recorded embeddings: calls render as recorded, answers mean what they say, errors are understood.

As `test_recordings.py`; the recordings of one API are few, so what is expected of each is read here.
"""

from __future__ import annotations

import csv
import json
from array import array
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderLacksModel, ProviderRejected
from gateway.model.usage import TokenUsage
from gateway.model.vector import encoded
from gateway.providers.contract import EmbeddingsWire, Provider, Target
from gateway.providers.lookup import provider_named
from gateway.providers.wire.openai_embeddings import OpenAiEmbeddings
from tests.providers import replay
from tests.providers.inverse.expected import Differs
from tests.providers.places import PLACES

Members = dict[str, Any]

OURS = {**replay.OURS, "voyage": "voyage"}
APIS = {"cohere": "cohere_embed", "google": "embed_content"}
ANSWERS_ONLY = {"doubleword": "another host", "llamacpp": "another host"}
NOT_OURS = {
    "ollama-embeddings-a09b6f89559b": "the older API, /api/embeddings, which takes one text",
    "cohere-embeddings-db68745d7e1e": "version 1 of the API",
    "gemini-embeddings-b9c83fa726b9": "embedContent, which takes one text; the gateway speaks the batch form",
}
"""Only read: the request is another API's."""
DIFFERS = {
    "cohere-errors-47dc36a0db34": Differs({"/max_tokens": "null", "/output_dimension": "null"}),
    "voyage-embeddings-8cf971bca3c7": Differs({"/output_dimension": "null", "/output_dtype": "null"}),
    "vertex-embeddings-b3fc314166d1": Differs({"/parameters": "too long texts are refused, not cut"}),
    "vertex-errors-83f2f427c900": Differs({"/parameters": "too long texts are refused, not cut"}),
    "vertex-embeddings-bee2912dee0e": Differs({"/embedContentConfig": "too long texts are refused, not cut"}),
}
REFUSED = {
    "gemini-embeddings-782ec2c8290c": "an image beside the text, which the gateway's call has no words for",
    "openai-errors-5d4da6e1f441": "dimensions and encoding_format that are no call at all",
}
FAILURES: dict[str, tuple[type[ProviderFailure], str | None]] = {
    "cohere-errors-47dc36a0db34": (ProviderLacksModel, None),
    "gemini-errors-530d8a8a16f6": (ProviderLacksModel, "NOT_FOUND"),
    "mistral-errors-0f447821df68": (ProviderRejected, "invalid_request_prompt"),
    "openai-errors-5d4da6e1f441": (ProviderRejected, "invalid_request_error"),
    "openrouter-errors-e414449b7fa4": (ProviderRejected, "400"),
    "vertex-errors-83f2f427c900": (ProviderError, "CREDENTIALS_MISSING"),
}


@dataclass(frozen=True)
class Recorded:
    id: str
    path: Path
    provider: str

    def load(self) -> Members:
        recording: Members = json.loads(self.path.read_text())
        return recording


def _plan() -> list[Recorded]:
    index = replay.ROOT / "INDEX.tsv"
    if not index.is_file():
        return []
    with index.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["api"] == "embeddings"]
    return [Recorded(row["id"], replay.ROOT / row["file"], row["file"].partition("/")[0]) for row in rows]


PLAN = _plan()
if not PLAN:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)
ASKED = [one for one in PLAN if one.provider in OURS and one.id not in {**NOT_OURS, **REFUSED}]
ANSWERED = [one for one in PLAN if one.id not in FAILURES]
FAILED = [one for one in PLAN if one.id in FAILURES]


def _ids(recorded: list[Recorded]) -> list[str]:
    return [one.id for one in recorded]


def wire_and_target(recording: Members) -> tuple[EmbeddingsWire, Target]:
    name = OURS.get(recording["provider"], "")
    url = recording["request"]["url"]
    if not name:
        facts = ModelFacts(id=recording["model"], name="")
        return OpenAiEmbeddings(), Target(recording["provider"], facts, url.removesuffix("/embeddings"))
    provider = provider_named(name)
    api = APIS.get(name) or ("predict" if url.endswith(":predict") else "embed_content" if name == "vertex" else "")
    facts = ModelFacts(id=recording["model"], name="", api=api or "embeddings")
    return provider.embeddings[facts.api], Target(name, facts, *_place(name, url, provider))


def _place(name: str, url: str, provider: Provider) -> tuple[str, dict[str, str]]:
    if name == "azure":
        return url.removesuffix("/embeddings"), {}
    if name in PLACES and "/projects/" in url:
        return PLACES[name](url)
    return provider.base_url or "http://127.0.0.1:11434/v1", {}


def call_from(recording: Members) -> EmbeddingsCall:
    """The call that somebody who asks the gateway for the same would make."""
    body = recording["request"]["body"]
    options: Members = {}
    if "requests" in body or "instances" in body:
        texts = [one.get("content") for one in body.get("requests") or body["instances"]]
        texts = [text if isinstance(text, str) else text["parts"][0]["text"] for text in texts]
        first = {"taskType" if name == "task_type" else name: value for name, value in _first(body).items()}
        options = {name: value for name, value in first.items() if name not in ("model", "content")}
        call: Members = {"input": texts}
    elif "content" in body:
        call = {"input": [body["content"]["parts"][0]["text"]]}
    elif "texts" in body:
        call = {"input": body["texts"]}
        options = {name: body[name] for name in ("input_type", "truncate") if name in body}
    else:
        call = {name: body[name] for name in ("input", "dimensions", "encoding_format") if name in body}
        options = {name: body[name] for name in ("input_type", "truncation") if name in body}
    call |= {"model": recording["model"]}
    if options:
        call["provider_options"] = {OURS[recording["provider"]]: options}
    return msgspec.convert(call, EmbeddingsCall)


def _first(body: Members) -> Members:
    first: Members = (body.get("requests") or body["instances"])[0]
    return first


@pytest.mark.parametrize("recorded", ASKED, ids=_ids(ASKED))
def test_request_renders_as_recorded(recorded: Recorded) -> None:
    recording = recorded.load()
    wire, target = wire_and_target(recording)
    request = wire.render(call_from(recording), target)
    assert request.method == recording["request"]["method"]
    assert replay.same_path(recording["request"]["url"], request), request.url
    found = replay.differences(recording["request"]["body"], msgspec.json.decode(request.body))
    assert sorted(found) == sorted(DIFFERS.get(recorded.id, Differs()).pointers)


def test_what_the_contract_has_no_words_for_is_no_call() -> None:
    for recording_id in REFUSED:
        (recorded,) = [one for one in PLAN if one.id == recording_id]
        body = recorded.load()["request"]["body"]
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**body, "input": body.get("input") or body["requests"]}, EmbeddingsCall)


def vectors_in(body: Members) -> list[Any]:
    """Wherever the provider puts them: numbers, or base64 as it came."""
    if "data" in body:
        return [item["embedding"] for item in body["data"]]
    if "predictions" in body:
        return [one["embeddings"]["values"] for one in body["predictions"]]
    if "embedding" in body:
        found = body["embedding"]
        return [found["values"] if isinstance(found, dict) else found]
    found = body["embeddings"]
    return found["int8"] if isinstance(found, dict) else [one["values"] for one in found]


def tokens_in(body: Members) -> int | None:
    if "usage" in body:
        tokens: int = body["usage"].get("prompt_tokens", body["usage"]["total_tokens"])
        return tokens
    if "predictions" in body:
        return sum(int(one["embeddings"]["statistics"]["token_count"]) for one in body["predictions"])
    if "meta" in body:
        billed: int = body["meta"]["billed_units"]["input_tokens"]
        return billed
    counted: int | None = body.get("usageMetadata", {}).get("promptTokenCount")
    return counted


@pytest.mark.parametrize("recorded", ANSWERED, ids=_ids(ANSWERED))
def test_answer_means_what_it_says(recorded: Recorded) -> None:
    recording = recorded.load()
    wire, target = wire_and_target(recording)
    answer = recording["response"]
    made = wire.parse(HttpResponse(answer["status"], answer["headers"], replay.raw_body(answer)), target)
    tokens = tokens_in(answer["body"])
    assert made.usage == (None if tokens is None else TokenUsage(prompt_tokens=tokens))
    for vector, said in zip(made.vectors, vectors_in(answer["body"]), strict=True):
        numbers = json.loads(bytes(encoded(vector, "float")))
        packed = b64decode(json.loads(bytes(encoded(vector, "base64"))))
        if isinstance(said, list):
            assert numbers == said
            assert array("f", packed).tolist() == array("f", said).tolist()
        elif recorded.provider == "perplexity":
            assert numbers == array("b", b64decode(said)).tolist()
            assert array("f", packed).tolist() == numbers
        else:
            assert packed == b64decode(said)
            assert numbers == array("f", packed).tolist()


@pytest.mark.parametrize("recorded", FAILED, ids=_ids(FAILED))
def test_failures(recorded: Recorded) -> None:
    recording = recorded.load()
    wire, target = wire_and_target(recording)
    answer = recording["response"]
    failure = wire.fail(HttpResponse(answer["status"], answer["headers"], replay.raw_body(answer)), target)
    assert (type(failure), failure.provider_code) == FAILURES[recorded.id]


def test_every_recording_takes_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert {one.id for one in ANSWERED} | {one.id for one in FAILED} == {one.id for one in PLAN}
    assert {one.provider for one in PLAN} <= set(OURS) | set(ANSWERS_ONLY)
    with capsys.disabled():
        print(f"\nembeddings: {len(ASKED)} requests, {len(PLAN)} answers")  # noqa: T201  # the figure this suite is for
        for recording_id, reason in sorted({**NOT_OURS, **REFUSED}.items()):
            print(f"  answer only {recording_id}: {reason}")  # noqa: T201  # same
