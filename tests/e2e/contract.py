"""Holds what the gateway answers against `shared/openapi.yaml`."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = Path(__file__).parents[2] / "shared" / "openapi.yaml"


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return document


@cache
def _validator(schema: str) -> Draft202012Validator:
    resource = Resource.from_contents(_document(), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("contract", resource)
    reference = {"$ref": f"contract#/components/schemas/{schema}"}
    return Draft202012Validator(reference, registry=registry)


def check(schema: str, value: Any) -> None:
    """Fails with every violation."""
    violations = [f"{error.json_path}: {error.message}" for error in _validator(schema).iter_errors(value)]
    assert not violations, violations


_REPLIES = {
    r"/chat/completions": "ChatCompletion",
    r"/embeddings": "EmbeddingList",
    r"/images/generations": "ImageList",
    r"/models": "ModelList",
    r"/models/.+": "Model",
    r"/jobs": "JobList",
    r"/jobs/[^/]+(?:/cancel)?": "Job",
    r"/batches/[^/]+(?:/cancel)?": "Batch",
}


def check_answer(path: str, status: int, content_type: str, body: bytes) -> None:
    """Any answer of the gateway: an error has the one envelope, a reply the schema of its route."""
    if status >= 400:
        check("ErrorEnvelope", json.loads(body))
    elif status == 202:
        check("Job", json.loads(body))
    elif path.endswith("/audio/speech"):
        check_speech(content_type, body)
    elif path.endswith("/audio/transcriptions"):
        check_transcript(content_type, body)
    elif content_type.startswith("text/event-stream"):
        check_stream(body)
    else:
        for route, schema in _REPLIES.items():
            if re.fullmatch(f"(?:/v1)?{route}", path):
                check(schema, json.loads(body))


def check_admin_answer(method: str, target: str, status: int, answer: Any) -> None:
    """Of a route under /admin: what its operation says of that status."""
    asked = target.partition("?")[0]
    paths = {path: item for path, item in _document()["paths"].items() if _leads_to(path, asked)}
    operations: list[dict[str, Any]] = [item[method.lower()] for item in paths.values() if method.lower() in item]
    if not operations:
        check("ErrorEnvelope", answer)
        return
    described = operations[0]["responses"]
    response = described.get(str(status), described["default"])
    if "$ref" in response:
        check("ErrorEnvelope", answer)
    else:
        check(response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2], answer)


def _leads_to(path: str, asked: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), asked) is not None


def check_stream(body: bytes) -> None:
    """Every event is a chunk or an error; only the last chunk has usage and report; [DONE] ends what did not fail."""
    data = [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]
    events = [json.loads(text) for text in data if text != "[DONE]"]
    failed = "error" in events[-1]
    for event in events[:-1] if failed else events:
        check("ChatCompletionChunk", event)
    if failed:
        check("ErrorEnvelope", events[-1])
    assert (data[-1] == "[DONE]") is not failed
    assert ["usage" in event for event in events] == [False] * (len(events) - 1) + [not failed]


def check_speech(content_type: str, body: bytes) -> None:
    """The recording itself, the file with it, or events of which the last one says what it took."""
    if content_type.startswith("application/json"):
        check("Speech", json.loads(body))
    elif content_type.startswith("text/event-stream"):
        *deltas, last = [json.loads(line.removeprefix("data: ")) for line in body.decode().splitlines() if "{" in line]
        for delta in deltas:
            check("SpeechDelta", delta)
        check("ErrorEnvelope" if "error" in last else "SpeechDone", last)
    else:
        assert content_type.startswith("audio/")


def check_transcript(content_type: str, body: bytes) -> None:
    """JSON with or without times, events of which the last one says what it took, or a text."""
    if content_type.startswith("application/json"):
        told = json.loads(body)
        check("TranscriptionVerbose" if "task" in told else "Transcription", told)
    elif content_type.startswith("text/event-stream"):
        *deltas, last = [json.loads(line.removeprefix("data: ")) for line in body.decode().splitlines() if "{" in line]
        for delta in deltas:
            check("TranscriptDelta", delta)
        check("ErrorEnvelope" if "error" in last else "TranscriptDone", last)
    else:
        assert content_type.startswith("text/")
