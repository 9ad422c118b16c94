"""What Gemini is given of a schema: its own words alone, and the rest in descriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gateway.model.chat import ChatCall
from gateway.model.schema_parts import at_pointer, places
from gateway.providers.wire.gemini_schema import KEPT, gemini_schema
from tests.providers.google_exchange import rendered

Schema = dict[str, Any]


def node(*, needed: bool) -> Schema:
    kids = {"type": "array", "items": {"$ref": "#/$defs/Node"}}
    return {"type": "object", "properties": {"kids": kids}, **({"required": ["kids"]} if needed else {})}


PYDANTIC = {
    "$defs": {
        "Inner": {
            "properties": {"x": {"title": "X", "type": "integer"}},
            "required": ["x"],
            "title": "Inner",
            "type": "object",
        }
    },
    "properties": {
        "i": {"$ref": "#/$defs/Inner", "description": "The inner one.", "examples": [{"x": 1}]},
        "k": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}], "default": None},
        "kind": {"const": "a", "title": "Kind", "type": "string"},
    },
    "required": ["i", "kind"],
    "title": "Outer",
    "type": "object",
}
INNER = {"properties": {"x": {"title": "X", "type": "integer"}}, "required": ["x"], "title": "Inner", "type": "object"}
ENDLESS: Schema = {"$ref": "#"}
WIDE: Schema = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/D0"}},
    "$defs": {
        **{
            f"D{at}": {"type": "object", "properties": {n: {"$ref": f"#/$defs/D{at + 1}"} for n in "ab"}}
            for at in range(30)
        },
        "D30": {"type": "string"},
    },
}
ZOD = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "a": {"$ref": "#/definitions/A"},
        "pair": {"type": "array", "items": [{"type": "string"}, {"const": 1}]},
    },
    "definitions": {"A": {"type": "string", "minLength": 2}},
}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (
            PYDANTIC,
            {
                "properties": {
                    "i": {**INNER, "description": 'The inner one.\n\nHas to satisfy {"examples":[{"x":1}]}'},
                    "k": {"anyOf": [INNER, {"type": "null"}]},
                    "kind": {"enum": ["a"], "title": "Kind", "type": "string"},
                },
                "required": ["i", "kind"],
                "title": "Outer",
                "type": "object",
            },
        ),
        (
            ZOD,
            {
                "type": "object",
                "properties": {
                    "a": {"type": "string", "description": 'Has to satisfy {"minLength":2}'},
                    "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer", "enum": [1]}]},
                },
            },
        ),
        (
            {"$defs": {"Node": node(needed=False)}, "$ref": "#/$defs/Node"},
            {**node(needed=False), "$defs": {"Node": node(needed=False)}},
        ),
        (
            {"$defs": {"Node": node(needed=True)}, "$ref": "#/$defs/Node"},
            {
                **node(needed=True),
                "properties": {"kids": {"type": "array", "items": {"type": "object", "description": "As Node."}}},
            },
        ),
        (
            {
                "allOf": [
                    {"$ref": "#/$defs/Base"},
                    {"properties": {"y": {"type": "integer"}, "x": {"minLength": 2}}, "required": ["y"]},
                ],
                "$defs": {"Base": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}},
            },
            {
                "type": "object",
                "properties": {
                    "x": {"type": "string", "description": 'Has to satisfy {"minLength":2}'},
                    "y": {"type": "integer"},
                },
                "required": ["x", "y"],
            },
        ),
        (
            {"allOf": [{"minimum": 1, "maximum": 9}, {"minimum": 2, "maximum": 8, "type": "integer"}]},
            {"minimum": 2, "maximum": 8, "type": "integer"},
        ),
        (
            {"allOf": [{"pattern": "a"}, {"pattern": "b"}], "type": "string"},
            {"type": "string", "description": 'Has to satisfy {"allOf":[{"pattern":"b"}],"pattern":"a"}'},
        ),
        (
            {"type": ["string", "null"], "enum": ["a", None]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        ({"type": "string", "enum": ["a", None]}, {"type": "string", "enum": ["a"]}),
        ({"enum": [1, 2.5]}, {"type": "number", "enum": [1, 2.5]}),
        ({"enum": ["a", True]}, {"description": 'Has to satisfy {"enum":["a",true]}'}),
        ({"const": False}, {"type": "boolean", "description": 'Has to satisfy {"enum":[false]}'}),
        ({"const": None}, {"type": "null"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "uri"}, {"type": "string", "description": 'Has to satisfy {"format":"uri"}'}),
        (
            {"type": "integer", "exclusiveMinimum": 0},
            {"type": "integer", "description": 'Has to satisfy {"exclusiveMinimum":0}'},
        ),
        ({"type": "object", "required": ["a"]}, {"type": "object", "description": 'Has to satisfy {"required":["a"]}'}),
        ({"type": "array", "items": True}, {"type": "array"}),
        ({"type": "array", "prefixItems": [{}], "items": False}, {"type": "array", "prefixItems": [{}], "maxItems": 1}),
        (
            {"type": "object", "properties": {"$ref": {"type": "string"}}, "additionalProperties": False},
            {"type": "object", "properties": {"$ref": {"type": "string"}}, "additionalProperties": False},
        ),
        (
            {"type": "object", "additionalProperties": {"const": "x"}},
            {"type": "object", "additionalProperties": {"type": "string", "enum": ["x"]}},
        ),
        ({"type": "string", "title": "T", "description": "D"}, {"type": "string", "title": "T", "description": "D"}),
        ({"type": "string", "nullable": True, "$comment": "c"}, {"type": "string"}),
        ({}, {}),
    ],
)
def test_the_words_that_gemini_knows(schema: Schema, sent: Schema) -> None:
    before = json.dumps(schema)
    assert gemini_schema(schema) == sent
    assert json.dumps(schema) == before


STRANGE: list[Any] = [
    ENDLESS,
    WIDE,
    {"allOf": [{"$ref": "#"}]},
    {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}},
    {"$ref": "#/nowhere"},
    {"$ref": 7},
    {"type": {}, "properties": [], "required": "a", "enum": {}, "items": 7, "anyOf": {}, "allOf": 1, "format": []},
    {"properties": {"a": True, "b": False, "c": 7, "d": None}, "required": ["a", 7, {}]},
    {"allOf": [{"minimum": "x"}, {"minimum": 1}, 7, True, {"required": {}}, {"properties": 7}]},
    {"enum": []},
    {"enum": [None, {}]},
    {"type": "string", "enum": [None]},
]
DEEP: Schema = {"type": "string"}
for _ in range(150):
    DEEP = {"type": "array", "items": DEEP}


@pytest.mark.parametrize("schema", [*STRANGE, DEEP, PYDANTIC, ZOD])
def test_whatever_is_sent_is_small_and_in_known_words(schema: Schema) -> None:
    sent = gemini_schema(schema)
    assert len(json.dumps(sent)) < 300_000
    for part in parts(sent):
        if "$ref" in part:
            assert part.keys() == {"$ref"}
            assert at_pointer(sent, part["$ref"]) is not None or schema.get("$ref") == part["$ref"]
        else:
            assert part.keys() <= KEPT | {"$defs", "description"}


def parts(schema: Schema) -> Iterator[Schema]:
    return (place.schema for place in places(schema))


def test_tools_and_replies_are_both_asked_for_so() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": PYDANTIC}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": PYDANTIC}}
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [tool], "response_format": wanted}
    body = rendered(msgspec.convert(asked, ChatCall))
    sent = gemini_schema(PYDANTIC)
    assert body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == sent
    assert body["generationConfig"]["responseJsonSchema"] == sent
