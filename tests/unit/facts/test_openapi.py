"""shared/openapi.yaml is valid, its examples are, and it says the same as the structures and the error table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.health_ports import AllHealthy
from gateway.model.batch_view import BatchList, BatchView
from gateway.model.chat import ChatCall
from gateway.model.client_secret import ClientSecretRequest
from gateway.model.completion import Completion, CompletionChunk
from gateway.model.embeddings import EmbeddingList, EmbeddingsCall
from gateway.model.errors import Detail, InvalidRequest
from gateway.model.images import ImageList, ImagesCall
from gateway.model.job_view import JobList, JobView
from gateway.model.provider_errors import ProviderTimeout
from gateway.model.speech import Speech, SpeechCall, SpeechDelta, SpeechDone
from gateway.model.tenant import Tenant, User
from gateway.model.transcription import (
    TranscriptDelta,
    TranscriptDone,
    Transcription,
    TranscriptionCall,
    TranscriptionVerbose,
)
from gateway.model.video import VideoCall, VideoDeleted, VideoList
from gateway.pipeline.admin_keys import Order, Rotation
from gateway.pipeline.batch_order import BatchOrder
from gateway.pipeline.job_ordered import JobOrder
from gateway.pipeline.list_models import describe
from tests.unit.facts.contract import Validator, component, document, problems, resolved, validator
from tests.unit.facts.facts import CATALOG, error_rows, read_json
from tests.unit.facts.rows import every_row

METHODS = {"get", "post", "put", "patch", "delete"}
STEPS_BUILT = 7
# Names that msgspec takes from the classes and the document gives otherwise.
STRUCTURES = {
    "VideoCall": "VideoRequest",
    "JobView": "Job",
    "BatchView": "Batch",
    "ErrorList": "BatchErrors",
    "RequestCounts": "BatchRequestCounts",
    "LineCounts": "BatchCounts",
    "ExpiresAfter": "OutputExpiresAfter",
    "ResultView": "JobResult",
    "ChatCall": "ChatCompletionRequest",
    "Completion": "ChatCompletion",
    "CompletionChunk": "ChatCompletionChunk",
    "UsageReport": "Usage",
    "AttemptReport": "Attempt",
    "EmbeddingsCall": "EmbeddingsRequest",
    "ImagesCall": "ImagesRequest",
    "SpeechCall": "SpeechRequest",
    "TranscriptionCall": "TranscriptionRequest",
}
OF_SESSIONS = {
    "ClientSecretRequest": "ClientSecretRequest",
    "ExpiresAfter": "ClientSecretLifetime",
    "SessionConfig": "RealtimeSession",
    "ReferenceTool": "ReferenceTool",
    "InlineGtsTool": "InlineGtsTool",
}
"""The same of a session of voice, whose others all begin with Realtime."""


def described_as(root: type, name: str) -> str:
    if root is ClientSecretRequest:
        return OF_SESSIONS.get(name, f"Realtime{name}")
    return STRUCTURES.get(name, name)


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield f"{method.upper()} {path}", operation


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(where, media type, media) of every request and response body."""
    for name, operation in operations():
        answers = {status: resolved(answer) for status, answer in operation["responses"].items()}
        for status, part in {"request": resolved(operation.get("requestBody", {})), **answers}.items():
            for media_type, media in part.get("content", {}).items():
                yield f"{name} {status}", media_type, media


def events(stream: str) -> list[str]:
    blocks = [block for block in stream.split("\n\n") if block and not block.startswith(":")]
    assert all(block.startswith("data: ") for block in blocks)
    return [block.removeprefix("data: ") for block in blocks]


def test_the_document_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_it_can_be_served_as_json() -> None:
    assert json.loads(json.dumps(document())) == document()


@pytest.mark.parametrize("name", sorted(document()["components"]["schemas"]))
def test_a_component_is_valid_json_schema(name: str) -> None:
    Validator.check_schema(document()["components"]["schemas"][name])


def taking(parameter: str) -> set[str]:
    """Operations that take one whose name in the document ends so, said by themselves or by their path."""
    return {
        name
        for name, operation in operations()
        for one in (
            *operation.get("parameters", []),
            *document()["paths"][name.partition(" ")[2]].get("parameters", []),
        )
        if one.get("$ref", "").endswith(parameter)
    }


def test_whatever_may_become_a_job_takes_the_preference_for_one() -> None:
    accepting = {name for name, operation in operations() if "202" in operation["responses"]}
    assert taking("/Prefer") == accepting - {"POST /v1/jobs"}


def test_every_post_may_be_sent_again_but_for_two() -> None:
    posts = {name for name, _ in operations() if name.startswith("POST")}
    assert posts - taking("IdempotencyKey") == {"POST /v1/realtime/client_secrets", "POST /webhooks/{provider}"}


def test_every_component_is_used() -> None:
    text = json.dumps(document())
    for kind in ("schemas", "responses", "headers", "parameters", "examples"):
        for name in document()["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name}"


def test_an_object_that_is_spelt_out_is_closed() -> None:
    for name, schema in document()["components"]["schemas"].items():
        if "properties" in schema:
            assert schema.get("additionalProperties") is False, name


@pytest.mark.parametrize(("where", "media_type", "media"), list(bodies()), ids=lambda value: str(value)[:60])
def test_examples_obey_their_schemas(where: str, media_type: str, media: dict[str, Any]) -> None:
    examples = {name: resolved(example)["value"] for name, example in media.get("examples", {}).items()}
    assert examples or where in ("GET /openapi.json 200", "GET /asyncapi.json 200")
    for name, value in examples.items():
        assert problems(validator(media["schema"]), value) == [], name


@pytest.mark.parametrize(("name", "ends_well"), [("Stream", True), ("StreamThatFails", False)])
def test_examples_of_streams(name: str, ends_well: bool) -> None:
    sent = events(resolved({"$ref": f"#/components/examples/{name}"})["value"])
    assert (sent[-1] == "[DONE]") is ends_well
    data = [json.loads(event) for event in sent if event != "[DONE]"]
    operation = document()["paths"]["/v1/chat/completions"]["post"]
    schema = operation["responses"]["200"]["content"]["text/event-stream"]["x-event-schema"]
    for event in data:
        assert problems(validator(schema), event) == []
    assert ["gateway" in event for event in data] == [False, ends_well]


def test_examples_of_errors_are_rows_of_the_table() -> None:
    rows = {(row["status"], row["code"]): row for row in error_rows()}
    shown = set()
    for where, _, media in bodies():
        for example in media.get("examples", {}).values():
            value = resolved(example)["value"]
            if not isinstance(value, dict) or not value.get("error"):
                continue
            is_of_a_job = value.get("object") == "job"
            error, status = value["error"], "default" if is_of_a_job else where.rsplit(" ", 1)[1]
            statuses = (
                {known for known, code in rows if code == error["code"]} if status == "default" else {int(status)}
            )
            row = rows[statuses.pop(), error["code"]]
            assert (error["type"], error["retryable"]) == (row["type"], row["retryable"]), where
            shown.add((row["status"], row["code"]))
    assert shown == {key for key, row in rows.items() if row["step"] <= STEPS_BUILT}


def test_the_codes_and_types_are_those_of_the_table() -> None:
    schemas = document()["components"]["schemas"]
    assert set(schemas["ErrorCode"]["enum"]) == {row["code"] for row in error_rows()}
    assert set(schemas["Error"]["properties"]["type"]["enum"]) == {row["type"] for row in error_rows()}


def test_headers_follow_retryable() -> None:
    retryable = {row["code"]: row["retryable"] for row in error_rows()}
    for name, answer in document()["components"]["responses"].items():
        for example in answer["content"]["application/json"]["examples"].values():
            value = resolved(example)["value"]
            if value.get("object") in ("job", "video"):
                continue
            code = value["error"]["code"]
            assert ("x-should-retry" in answer["headers"]) is not retryable[code], name


def test_providers_are_those_of_the_catalog() -> None:
    assert document()["components"]["schemas"]["ProviderName"]["enum"] == sorted(p.stem for p in CATALOG.glob("*.json"))


def test_capabilities_are_those_of_the_catalog() -> None:
    rows = read_json(CATALOG.parent / "schemas" / "catalog.schema.json")["$defs"]["model"]["properties"]
    shown = document()["components"]["schemas"]["ModelFacts"]["properties"]
    assert shown["capabilities"]["items"] == rows["capabilities"]["items"]


CALLS = (
    *(JobOrder, BatchOrder, ChatCall, EmbeddingsCall, ImagesCall, SpeechCall, TranscriptionCall, VideoCall),
    ClientSecretRequest,
)
REPLIES: tuple[type, ...] = (
    *(Completion, CompletionChunk, EmbeddingList, ImageList, Speech, SpeechDelta, SpeechDone),
    *(Transcription, TranscriptionVerbose, TranscriptDelta, TranscriptDone, VideoList, VideoDeleted),
    *(JobView, JobList, BatchView, BatchList),
)
CROSSING = (*CALLS, *REPLIES)


@pytest.mark.parametrize("root", CROSSING)
def test_members_are_those_of_the_structures(root: type) -> None:
    """Every structure that crosses the API has the members, and the required ones, of its schema."""
    schemas = document()["components"]["schemas"]
    _, structures = msgspec.json.schema_components([root])
    for name, structure in structures.items():
        described = schemas[described_as(root, name)]
        assert set(described["properties"]) == set(structure["properties"]), name
        if root in CALLS:
            assert set(described.get("required", ())) == set(structure["required"]), name


READ_ONLY = {"object", "tenant_id", "created_at", "changed_at", "warnings"}


@pytest.mark.parametrize(
    ("kind", "name"), [(Tenant, "NewTenant"), (User, "NewUser"), (Order, "NewKey"), (Rotation, "Rotation")]
)
def test_settings_are_those_of_the_structures(kind: type, name: str) -> None:
    """Every member, what it defaults to left aside, with its bounds."""
    described = document()["components"]["schemas"]
    _, structures = msgspec.json.schema_components([kind])
    for of, structure in structures.items():
        shown = described[name if of == kind.__name__ else of]
        members = set(structure["properties"])
        assert set(shown["properties"]) - (READ_ONLY if of == kind.__name__ else set()) == members, of
        assert set(shown.get("required", ())) == set(structure["required"]), of
        for member in members - ({"usd"} if of == "Budget" else set()):  # text or number, exact either way
            there, said = shown["properties"][member], structure["properties"][member]
            assert bounds(there, described) == bounds(said, structures), (of, member)


BOUNDS = ("minimum", "maximum", "maxLength", "minItems", "maxItems", "pattern", "enum")


def bounds(node: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Those of a value that is not null."""
    if "$ref" in node:
        return bounds(components[node["$ref"].rpartition("/")[2]], components)
    if "anyOf" in node:
        return bounds(node["anyOf"][0], components)
    if "const" in node:
        return {"enum": [node["const"]]}
    return {name: sorted_if_list(node[name]) for name in BOUNDS if name in node}


def sorted_if_list(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def call(**members: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}


def message(**members: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [members]}


FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
GOOD = [
    call(),
    call(stream=True, stream_options={"include_usage": True}),
    call(**dict.fromkeys(("temperature", "top_p", "stop", "tools", "tool_choice", "seed", "user", "timeouts"))),
    call(stop="x", temperature=0, top_p=1, n=1, seed=-1, logit_bias={"50256": -100}),
    call(stop=["x", "y"], reasoning_effort="none", verbosity="low", modalities=["text", "audio"]),
    call(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "f"}}),
    call(tools=[{"type": "reference", "schema_id": "gts.x"}, {"type": "inline_gts", "schema": {"a": 1}}]),
    call(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}),
    call(response_format={"type": "json_object"}, metadata={"a": "b"}, provider_options={"openai": {"x": 1}}),
    call(fallback={"models": ["a/b"], "strategy": "parallel"}, **{"async": True}),
    message(role="user", content=[{"type": "text", "text": "a"}, {"type": "document", "url": "u", "name": "d"}]),
    message(role="user", content=[{"type": "image_url", "image_url": {"url": "u", "detail": "high"}}]),
    message(role="assistant", content=None, tool_calls=[{"id": "1", "function": {"name": "f", "arguments": "{}"}}]),
    message(role="assistant", refusal="no"),
    message(role="tool", content="42", tool_call_id="1"),
]
BAD = [
    {},
    {"model": "m"},
    {"model": "m", "messages": []},
    call(model=""),
    call(model=7),
    call(colour="red"),
    call(temperature=2.5),
    call(temperature="hot"),
    call(top_p=-0.1),
    call(n=0),
    call(max_tokens=0),
    call(max_tokens=1.5),
    call(stop=[1]),
    call(stop=["x"] * 17),
    call(tools=[{"type": "function"}]),
    call(tools=[{"type": "magic"}]),
    call(tool_choice="maybe"),
    call(reasoning_effort="huge"),
    call(metadata={"a": 1}),
    call(user="u" * 257),
    call(response_format={"type": "json_schema"}),
    call(timeouts={"ttft_ms": 0}),
    call(timeouts={"ttft_ms": 285_001}),
    call(timeouts={"total_ms": 840_001}),
    call(fallback={"models": []}),
    call(provider_options={"openai": None}),
    message(role="user"),
    message(role="user", content=None),
    message(role="robot", content="x"),
    message(role="user", content="x", colour="red"),
    message(role="user", content=[{"type": "text"}]),
    message(role="user", content=[{"type": "smell", "url": "u"}]),
    message(role="tool", content="42"),
]


@pytest.mark.parametrize(("request_body", "good"), [*((b, True) for b in GOOD), *((b, False) for b in BAD)])
def test_the_schema_takes_what_the_gateway_takes(request_body: dict[str, Any], good: bool) -> None:
    assert (problems(component("ChatCompletionRequest"), request_body) == []) is good
    try:
        msgspec.json.decode(json.dumps(request_body), type=ChatCall)
    except msgspec.ValidationError:
        assert not good
    else:
        assert good


def test_every_model_of_the_catalog_is_described_as_promised() -> None:
    models = [describe(provider, facts, AllHealthy(), "acme") for provider, facts in every_row()]
    assert problems(component("ModelList"), {"object": "list", "data": models}) == []


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("no", param="n", details=(Detail("/messages/0/a~1b", "why"),)),
        ProviderTimeout("late", phase="total"),
    ],
)
def test_errors_have_the_promised_shape(error: InvalidRequest | ProviderTimeout) -> None:
    assert problems(component("ErrorEnvelope"), error.wire("req_1")) == []


@pytest.mark.parametrize(
    ("code", "members"), [("provider_timeout", {}), ("rate_limited", {}), ("not_found", {"phase": "ttft"})]
)
def test_members_of_an_error_go_with_its_code(code: str, members: dict[str, str]) -> None:
    error = InvalidRequest("no").wire("req_1")["error"] | {"code": code} | members
    assert problems(component("ErrorEnvelope"), {"error": error}) != []
