"""shared/asyncapi.yaml is valid, complete, and says the same as the code that reads and writes the events.

`asyncapi/3.0.0.json.gz` is the official JSON Schema of such documents, as it is in the npm package @asyncapi/specs
6.11.1 (schemas/3.0.0-without-$id.json, Apache-2.0).
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import get_args

import jsonschema
import msgspec
import pytest

from gateway.model.realtime import MAX_MESSAGE_BYTES, ClientEvent
from gateway.model.realtime_call import Terms
from gateway.model.realtime_events import GATEWAY_EVENTS, SERVER_EVENTS
from gateway.pipeline.realtime_outgoing import PATIENCE_S
from gateway.pipeline.realtime_pace import BYTES, MESSAGES
from gateway.pipeline.realtime_read import read_event
from tests.unit.facts.facts import ROOT, error_rows
from tests.unit.facts.sockets import channel, messages, sockets, validator_of

META = jsonschema.Draft7Validator(
    json.loads(gzip.decompress((Path(__file__).parent / "asyncapi" / "3.0.0.json.gz").read_bytes()))
)
NOT_OF_SESSIONS = {
    *("not_found", "method_not_allowed", "unsupported_media_type", "request_blocked", "response_blocked"),
    *("hook_unavailable", "invalid_signature", "precondition_failed", "conflict", "idempotency_conflict"),
    *("file_not_found", "media_not_found", "request_not_found", "tenant_not_found", "user_not_found", "key_not_found"),
    *("job_not_found", "job_cancelled", "job_interrupted", "job_expired", "batch_not_found"),
}
"""Codes that no event has: of other routes, of the handshake, or of what only whole requests have."""


def test_the_document_is_valid_asyncapi() -> None:
    assert [f"{error.json_path}: {error.message}" for error in META.iter_errors(sockets())] == []


def test_it_is_complete_in_itself() -> None:
    """What it has in common with the HTTP API is in it."""
    document = sockets()
    assert json.loads(json.dumps(document)) == document
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(document)))
    for reference in references:
        node = document
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]
    used = {reference.rpartition("/")[2] for reference in references if "/schemas/" in reference}
    assert used == set(document["components"]["schemas"])


def test_its_events_are_those_that_are_taken_and_sent() -> None:
    taken = {event.__struct_config__.tag for event in get_args(ClientEvent)}
    assert messages("hear") == sorted(taken)
    assert messages("speak") == sorted(SERVER_EVENTS | GATEWAY_EVENTS)
    assert sorted(channel()["messages"]) == sorted(messages("hear") + messages("speak"))
    assert set(channel()["messages"]) == set(sockets()["components"]["messages"])


def test_the_gateway_s_own_events_are_those_in_its_code() -> None:
    code = "".join(path.read_text() for path in (ROOT / "layers" / "gateway" / "gateway").rglob("*.py"))
    assert set(re.findall(r'"type": "(gateway\.[a-z_.]+)"', code)) == GATEWAY_EVENTS


@pytest.mark.parametrize("name", sorted(sockets()["components"]["messages"]))
def test_an_event_is_called_by_its_type_and_shown(name: str) -> None:
    message = sockets()["components"]["messages"][name]
    schema = sockets()["components"]["schemas"][message["payload"]["$ref"].rpartition("/")[2]]
    assert schema["properties"]["type"] == {"const": name}
    assert {"type"} <= set(schema["required"]) and message["summary"]
    assert message["examples"]
    for example in message["examples"]:
        validator_of(name).validate(example["payload"])
        if name in messages("hear"):
            read_event(json.dumps(example["payload"]).encode())


@pytest.mark.parametrize("event", get_args(ClientEvent))
def test_members_are_those_of_the_structures(event: type) -> None:
    """What is said is read strictly, so it has to be told exactly."""
    schemas = sockets()["components"]["schemas"]
    _, structures = msgspec.json.schema_components([event])
    for name, structure in structures.items():
        described = schemas.get({"SessionConfig": "RealtimeSession"}.get(name, name)) or schemas[f"Realtime{name}"]
        assert set(described["properties"]) == set(structure["properties"]), name
        assert set(described.get("required", ())) == set(structure["required"]), name
        assert described["additionalProperties"] is False, name


def test_limits_are_those_that_are_kept() -> None:
    terms = Terms()
    assert channel()["x-limits"] == {
        "message_bytes": MAX_MESSAGE_BYTES,
        "frame_bytes": 32 * 1024,
        "messages_per_s": MESSAGES.per_s,
        "messages_at_once": MESSAGES.burst,
        "bytes_per_s": BYTES.per_s,
        "bytes_at_once": BYTES.burst,
        "idle_s": terms.idle_s,
        "longest_s": terms.longest_s,
        "not_taken_s": PATIENCE_S,
        "event_id_characters": 512,
    }


def test_every_error_is_told_or_is_of_something_else() -> None:
    rows = {(row["status"], row["code"]) for row in error_rows()}
    told = [error["code"] for error in channel()["x-errors"]]
    assert len(told) == len(set(told)) and not set(told) & NOT_OF_SESSIONS
    assert set(told) | NOT_OF_SESSIONS == {code for _, code in rows}
    assert {error["session"] for error in channel()["x-errors"]} == {"goes on", "ends", "either"}
    refusals = [(error["status"], error["code"]) for error in channel()["x-handshake-errors"]]
    assert set(refusals) <= rows and len(refusals) == len(set(refusals))
    assert [close["code"] for close in channel()["x-close-codes"]] == [1000, 1001, 1003, 1006, 1009]
