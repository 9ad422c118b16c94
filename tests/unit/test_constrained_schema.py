"""What constrained decoding is given of a schema."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.constrained_schema import constrained

Schema = dict[str, Any]


def closed(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PLAIN = {
    **closed(
        name={"type": "string", "description": "A name."},
        kind={"enum": ["a", "b", None, 1]},
        always={"const": "x"},
        day={"type": "string", "format": "date"},
        tags={"type": "array", "items": {"type": "string"}, "minItems": 1},
        maybe={"anyOf": [{"type": "integer"}, {"type": "null"}]},
        inner={"$ref": "#/$defs/Inner"},
    ),
    "$defs": {"Inner": closed(a={"type": "number"})},
    "title": "Plain",
}


def test_what_can_be_enforced_goes_as_it_is() -> None:
    assert constrained(PLAIN) == PLAIN


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (
            {"type": "integer", "minimum": 1, "maximum": 10},
            {"type": "integer", "description": 'Has to satisfy {"minimum":1,"maximum":10}'},
        ),
        (
            {"type": "string", "description": "A slug.", "pattern": "^[a-z]+$", "minLength": 2},
            {"type": "string", "description": 'A slug.\n\nHas to satisfy {"pattern":"^[a-z]+$","minLength":2}'},
        ),
        (
            {"type": "string", "format": "color"},
            {"type": "string", "description": 'Has to satisfy {"format":"color"}'},
        ),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
            {
                "type": "array",
                "items": {"type": "string"},
                "description": 'Has to satisfy {"minItems":2,"uniqueItems":true}',
            },
        ),
        (
            {"type": "string", "default": "x", "readOnly": True},
            {"type": "string", "description": 'Has to satisfy {"default":"x"}'},
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "null"}], "discriminator": {"propertyName": "kind"}},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        (
            {"type": ["string", "null"], "maxLength": 3, "title": "T"},
            {
                "anyOf": [
                    {"type": "string", "description": 'Has to satisfy {"maxLength":3}'},
                    {"type": "null"},
                ],
                "title": "T",
            },
        ),
        (
            {"type": ["object", "null"], **{k: v for k, v in closed(a={"type": "null"}).items() if k != "type"}},
            {"anyOf": [closed(a={"type": "null"}), {"type": "null"}]},
        ),
        (
            {"type": "object", "properties": {"a": {"type": "null"}}},
            {"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": False},
        ),
        ({"$ref": "#/$defs/Inner", "description": "The inner one."}, {"$ref": "#/$defs/Inner"}),
        (
            {"type": "object", "additionalProperties": False},
            {"type": "object", "properties": {}, "additionalProperties": False},
        ),
    ],
)
def test_what_cannot_be_enforced_is_said(part: Schema, sent: Schema) -> None:
    given = {**closed(x=part), "$defs": {"Inner": closed()}}
    simplified = constrained(given)
    assert simplified is not None
    assert simplified["properties"]["x"] == sent
    assert given["properties"]["x"] is part


@pytest.mark.parametrize(
    "part",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": True},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"$ref": "#"},
        {"type": "array", "items": {"$ref": "#/properties/x"}},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"not": {"type": "string"}},
        {"if": {"type": "string"}, "then": {"type": "string"}},
        {"enum": [{"a": 1}]},
        {"const": [1]},
        {"allOf": [{"$ref": "#/$defs/Inner"}]},
        {"$ref": "#/$defs/Inner", "minProperties": 1},
        {},
        True,
        {"type": "array", "items": True},
        {"patternProperties": {"^a": {"type": "string"}}, "type": "object", "additionalProperties": False},
    ],
)
def test_what_has_no_other_form_is_asked_for_in_another_way(part: Any) -> None:
    assert constrained({**closed(x=part), "$defs": {"Inner": closed()}}) is None


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({**closed(**{f"p{n}": {"type": "string"} for n in range(24)}), "required": []}, True),
        ({**closed(**{f"p{n}": {"type": "string"} for n in range(25)}), "required": []}, False),
        (closed(**{f"p{n}": {"type": ["string", "null"]} for n in range(16)}), True),
        (closed(**{f"p{n}": {"anyOf": [{"type": "string"}, {"type": "null"}]} for n in range(17)}), False),
    ],
)
def test_what_is_more_than_the_decoder_takes_is_asked_for_in_another_way(schema: Schema, fits: bool) -> None:
    assert (constrained(schema) is not None) is fits


def test_each_type_of_a_list_has_the_values_of_its_own() -> None:
    """OpenAI's strict mode writes an optional choice so; Claude refuses a value of another type than its enum's."""
    part = {"type": ["string", "null"], "enum": ["F", "C", None]}
    sent = constrained(closed(unit=part))
    assert sent is not None
    assert sent["properties"]["unit"] == {
        "anyOf": [{"type": "string", "enum": ["F", "C"]}, {"type": "null", "enum": [None]}]
    }


def test_a_type_that_no_value_has_is_left_out() -> None:
    sent = constrained(closed(unit={"type": ["string", "null"], "const": "F"}))
    assert sent is not None
    assert sent["properties"]["unit"]["anyOf"][0]["const"] == "F"
    assert len(sent["properties"]["unit"]["anyOf"]) == 1


def nested(word: str, levels: int) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        part = closed(a=part) if word == "properties" else {word: [part]}
    return closed(a=part)


@pytest.mark.parametrize(
    "given",
    [
        {"type": "object", "properties": "x"},
        {"type": "object", "properties": None},
        {"type": "object", "properties": {"a": 5}},
        {"type": "object", "properties": {}, "required": 5},
        {"type": "object", "properties": {}, "required": [["a"]]},
        {"$defs": 5, **closed()},
        {"anyOf": None},
        closed(a={"type": ["string", {}]}),
        closed(a={"type": {}}),
        closed(a={"enum": 3, "type": ["string"]}),
        closed(a={"anyOf": {"b": 1}}),
        closed(a={"allOf": [5]}),
        closed(a={"$ref": 5}),
        closed(a={"type": "string", "format": []}),
        nested("properties", 400),
        nested("anyOf", 900),
    ],
)
def test_what_is_no_schema_has_no_form(given: dict[str, Any]) -> None:
    """Nobody has looked at the schema of a tool before."""
    assert constrained(given) is None
