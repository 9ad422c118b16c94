"""A schema means what its own dialect says, and the provider gets it in the latest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.model.json_schema import schema_violations, text_violations
from gateway.model.schema_dialect import DRAFT_7, modern
from tests.unit.conftest import Gateway
from tests.unit.test_chat_function import HELLO

D7 = {"$schema": f"{DRAFT_7}#"}
PAIR = {"type": "array", "items": [{"type": "string"}, {"type": "number"}], "additionalItems": False}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"dependencies": {"a": ["b"]}}, {"a": 1, "b": 2}, {"a": 1}),
        ({"dependencies": {"a": {"required": ["b"]}}}, {"b": 2}, {"a": 1}),
        (PAIR, ["x", 1], ["x", 1, 2]),
        ({"properties": {"p": PAIR}}, {"p": ["x", 1]}, {"p": [1, "x"]}),
        ({"definitions": {"P": PAIR}, "$ref": "#/definitions/P"}, ["x"], ["x", 1, 2]),
        (
            {"definitions": {"A": {"$id": "#a", "type": "string"}}, "properties": {"x": {"$ref": "#a"}}},
            {"x": "y"},
            {"x": 1},
        ),
        ({"items": {"type": "string"}, "uniqueItems": True}, ["a", "b"], ["a", "a"]),
        ({"properties": {"dependencies": {"type": "string"}}}, {"dependencies": "x"}, {"dependencies": 1}),
    ],
)
def test_a_schema_in_draft_7_holds(schema: dict[str, Any], good: Any, bad: Any) -> None:
    schema = {**D7, **schema}
    assert schema_violations(schema, "") == ()
    assert text_violations(json.dumps(good), schema) == ()
    assert text_violations(json.dumps(bad), schema) != ()


@pytest.mark.parametrize(
    ("older", "latest"),
    [
        ({**D7, "type": "string"}, {"type": "string"}),
        (PAIR, {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": False}),
        ({"dependencies": {"a": ["b"], "c": {}}}, {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {}}}),
        ({"enum": [{"items": [], "$schema": DRAFT_7}]}, {"enum": [{"items": [], "$schema": DRAFT_7}]}),
    ],
)
def test_words_of_draft_7_in_the_latest(older: dict[str, Any], latest: dict[str, Any]) -> None:
    assert modern(older) == latest


def test_a_schema_in_the_latest_dialect_is_left_alone() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"items": {"items": {}}}}
    assert modern(schema) is schema


@pytest.mark.parametrize(
    "named",
    [
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft-07/schema#",
        "http://json-schema.org/schema#",
    ],
)
def test_a_dialect_has_several_spellings(named: str) -> None:
    assert schema_violations({"$schema": named, "type": "object"}, "") == ()


@pytest.mark.parametrize(
    "named", ["http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft/2019-09/schema", "x", 7, None]
)
def test_another_dialect_is_refused_by_name(named: Any) -> None:
    (refused,) = schema_violations({"$schema": named, "type": "object"}, "/response_schema")
    assert refused.pointer == "/response_schema/$schema"
    assert "draft-07" in refused.reason


def test_a_tuple_without_a_dialect_is_refused_at_its_place() -> None:
    (refused,) = schema_violations({"properties": {"p": PAIR}}, "")
    assert refused.pointer == "/properties/p/items"


@pytest.mark.parametrize("spelling", ["response_schema", "response_format"])
async def test_the_provider_gets_the_latest(gateway: Gateway, spelling: str) -> None:
    schema = {**D7, "type": "object", "properties": {"p": PAIR}, "dependencies": {"p": ["q"]}}
    asked: dict[str, Any] = {"response_schema": schema}
    if spelling == "response_format":
        asked = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}
    message = {"index": 0, "message": {"role": "assistant", "content": '{"p": ["x", 1]}'}, "finish_reason": "stop"}
    gateway.answers(200, json.dumps({"id": "a", "choices": [message]}).encode())
    answer = await gateway.chat({**HELLO, **asked})
    sent = gateway.outbound.sent[-1].body.decode()
    assert "dependentRequired" in sent
    assert "prefixItems" in sent
    assert DRAFT_7 not in sent
    assert (answer.status, answer.json["error"]["code"]) == (422, "validation_error")
