"""Types put together to one plain schema, and that it still says the same."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from gateway.gts.bundle import bundle, is_object, merge
from gateway.gts.naming import provider_name
from gateway.gts.schema import defects
from gateway.model.schema_parts import places, unending

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
POINT, PLACE, TREE = "gts.x.geo.base.point.v1~", "gts.x.geo.base.place.v1~", "gts.x.files._.node.v1~"
EVENT = "gts.x.test7.events.type.v1~"
ORDER = EVENT + "x.test7.graph.order.v1.0~"
TYPES: dict[str, Any] = {
    POINT: {
        "$schema": DRAFT_7,
        "$id": f"gts://{POINT}",
        "definitions": {"degrees": {"type": "number"}},
        "type": "object",
        "properties": {"lat": {"$ref": "#/definitions/degrees"}, "lon": {"$ref": "#/definitions/degrees"}},
        "required": ["lat", "lon"],
    },
    PLACE: {
        "$schema": DRAFT_7,
        "$id": f"gts://{PLACE}",
        "type": "object",
        "properties": {"name": {"type": "string", "x-gts-ref": "gts.*"}, "at": {"$ref": f"gts://{POINT}"}},
        "x-gts-final": True,
    },
    TREE: {
        "$id": f"gts://{TREE}",
        "type": "object",
        "properties": {"name": {"type": "string"}, "inside": {"type": "array", "items": {"$ref": f"gts://{TREE}"}}},
        "required": ["name"],
    },
    EVENT: {
        "$id": f"gts://{EVENT}",
        "title": "Event",
        "description": "Any event",
        "type": "object",
        "required": ["id", "type"],
        "properties": {"id": {"type": "string"}, "type": {"type": "string"}, "payload": {"type": "object"}},
        "additionalProperties": False,
        "x-gts-abstract": True,
    },
    ORDER: {
        "$id": f"gts://{ORDER}",
        "type": "object",
        "description": "An order",
        "allOf": [
            {"$ref": f"gts://{EVENT}"},
            {
                "required": ["type", "payload"],
                "properties": {
                    "type": {"const": ORDER},
                    "payload": {"properties": {"total": {"type": "number"}}, "required": ["total"]},
                },
            },
        ],
    },
}


def key(type_id: str) -> str:
    return provider_name(type_id)


def test_a_type_that_refers_to_none_is_only_freed_of_gts_words() -> None:
    assert bundle(TYPES[PLACE]["properties"]["name"], TYPES) == {"type": "string"}
    assert bundle(TYPES[EVENT], TYPES) == {
        word: value for word, value in TYPES[EVENT].items() if word not in ("$id", "x-gts-abstract")
    }


def test_references_lead_into_defs_and_local_ones_move_along() -> None:
    assert bundle(TYPES[PLACE], TYPES) == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "at": {"$ref": f"#/$defs/{key(POINT)}"}},
        "$defs": {
            key(POINT): {
                "definitions": {"degrees": {"type": "number"}},
                "type": "object",
                "properties": {
                    "lat": {"$ref": f"#/$defs/{key(POINT)}/definitions/degrees"},
                    "lon": {"$ref": f"#/$defs/{key(POINT)}/definitions/degrees"},
                },
                "required": ["lat", "lon"],
            }
        },
    }


def test_a_circle_stays_a_reference() -> None:
    assert bundle(TYPES[TREE], TYPES)["properties"]["inside"]["items"] == {"$ref": "#"}
    held = bundle({"type": "object", "properties": {"root": {"$ref": f"gts://{TREE}"}}}, TYPES)
    inside = held["$defs"][key(TREE)]["properties"]["inside"]
    assert inside["items"] == {"$ref": f"#/$defs/{key(TREE)}"}


def test_a_chain_of_descent_becomes_one_plain_object() -> None:
    assert bundle(TYPES[ORDER], TYPES) == {
        "title": "Event",
        "description": "An order",
        "type": "object",
        "required": ["id", "type", "payload"],
        "properties": {
            "id": {"type": "string"},
            "type": {"type": "string", "const": ORDER},
            "payload": {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]},
        },
        "additionalProperties": False,
    }


def test_five_levels_become_one() -> None:
    types: dict[str, Any] = {}
    type_id = "gts.x.base.entity.root.v1~"
    types[type_id] = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
    for level in range(2, 6):
        parent, type_id = type_id, f"{type_id}x.l{level}._.type.v1~"
        overlay = {"properties": {f"at_{level}": {"type": "integer"}}, "required": [f"at_{level}"]}
        types[type_id] = {"type": "object", "allOf": [{"$ref": f"gts://{parent}"}, overlay]}
    folded = bundle(types[type_id], types)
    assert folded["required"] == ["id", "at_2", "at_3", "at_4", "at_5"]
    assert set(folded) == {"type", "required", "properties"}


def test_a_schema_that_is_only_a_reference_becomes_what_it_refers_to() -> None:
    assert bundle({"$ref": f"gts://{PLACE}"}, TYPES) == bundle(TYPES[PLACE], TYPES)
    assert bundle({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array"}}}, {})["type"] == "array"


def test_a_type_that_others_still_refer_to_stays_when_it_is_folded_in() -> None:
    child = {"allOf": [{"$ref": f"gts://{TREE}"}], "properties": {"label": {"type": "string"}}}
    folded = bundle(child, TYPES)
    assert folded["properties"]["inside"]["items"] == {"$ref": f"#/$defs/{key(TREE)}"}
    assert set(folded["$defs"]) == {key(TREE)}
    assert "allOf" not in folded


def test_own_definitions_keep_their_names() -> None:
    mine = {key(POINT): {"type": "null"}, "other": {"type": "boolean"}}
    schema = {"$defs": mine, "properties": {"a": {"$ref": f"gts://{POINT}"}, "b": {"$ref": f"#/$defs/{key(POINT)}"}}}
    whole = bundle(schema, TYPES)
    assert whole["$defs"][key(POINT)] == {"type": "null"}
    assert whole["properties"]["a"] == {"$ref": f"#/$defs/{key(POINT)}_"}
    assert whole["properties"]["b"] == {"$ref": f"#/$defs/{key(POINT)}"}


def test_only_schemas_are_changed() -> None:
    told = {"$ref": f"gts://{POINT}", "$id": "x", "x-gts-final": 1}
    schema = {"properties": {"$id": {"const": told}, "x-gts-ref": {"default": told, "examples": [told]}}}
    assert bundle(schema, {}) == schema


def test_nothing_that_is_given_is_changed() -> None:
    before = copy.deepcopy(TYPES)
    for schema in TYPES.values():
        bundle(schema, TYPES)
    assert before == TYPES


def test_a_circle_of_combinations_ends() -> None:
    one, two = "gts.a.b.c.one.v1~", "gts.a.b.c.two.v1~"
    types = {
        one: {"allOf": [{"$ref": f"gts://{two}"}], "required": ["a"]},
        two: {"allOf": [{"$ref": f"gts://{one}"}, {"$ref": f"gts://{two}"}], "required": ["b"]},
    }
    assert bundle({"$ref": f"gts://{one}"}, types) == {"required": ["b", "a"]}


def test_combinations_are_folded_once_however_often_they_are_named() -> None:
    """Two references each over 30 levels are a thousand million ways down."""
    types: dict[str, Any] = {"gts.a.b.c.t0.v1~": {"required": ["z"]}}
    for level in range(1, 30):
        below = {"$ref": f"gts://gts.a.b.c.t{level - 1}.v1~"}
        types[f"gts.a.b.c.t{level}.v1~"] = {"allOf": [below, {"allOf": [below]}]}
    assert bundle({"$ref": "gts://gts.a.b.c.t29.v1~"}, types) == {"required": ["z"]}


@pytest.mark.parametrize("allOf", [[False], [{"type": "object"}, False]])
def test_what_allows_nothing_goes_on_allowing_nothing(allOf: list[Any]) -> None:  # noqa: N803 - the keyword
    assert bundle({"allOf": allOf}, {}) == {"allOf": allOf}


def test_what_is_pointed_to_stays() -> None:
    schema = {
        "allOf": [{"properties": {"a": {"type": "string"}}}],
        "properties": {"b": {"$ref": "#/allOf/0/properties/a"}},
    }
    assert bundle(schema, {}) == schema


def test_words_of_draft_7_become_those_of_2020_12() -> None:
    schema = {
        "$schema": DRAFT_7,
        "properties": {"pair": {"items": [{"type": "string"}, True], "additionalItems": {"type": "null"}}},
        "dependencies": {"a": ["b"], "b": {"required": ["c"]}},
    }
    assert bundle(schema, {}) == {
        "properties": {"pair": {"prefixItems": [{"type": "string"}, True], "items": {"type": "null"}}},
        "dependentRequired": {"a": ["b"]},
        "dependentSchemas": {"b": {"required": ["c"]}},
    }


@pytest.mark.parametrize("ref", ["#/items/0", "#/additionalItems", "#/dependencies/a"])
def test_what_2020_12_has_elsewhere_is_not_pointed_to(ref: str) -> None:
    schema = {"items": [{}], "additionalItems": {}, "dependencies": {"a": {}}, "properties": {"a": {"$ref": ref}}}
    assert [detail.pointer for detail in defects(schema, "")] == ["/properties/a/$ref"]


@pytest.mark.parametrize(
    ("one", "other", "merged"),
    [
        ({"title": "A"}, {"title": "B"}, {"title": "B"}),
        ({"required": ["a", "b"]}, {"required": ["b", "c"]}, {"required": ["a", "b", "c"]}),
        ({"type": ["object", "null"]}, {"type": "object"}, {"type": "object"}),
        ({"type": ["string", "null", "object"]}, {"type": ["null", "string"]}, {"type": ["string", "null"]}),
        ({"type": "string"}, {"type": "object"}, {"type": "string", "allOf": [{"type": "object"}]}),
        ({"minLength": 1}, {"minLength": 2}, {"minLength": 1, "allOf": [{"minLength": 2}]}),
        ({"minLength": 1}, {"minLength": 1}, {"minLength": 1}),
        ({"oneOf": [{}]}, {"oneOf": [True]}, {"oneOf": [{}], "allOf": [{"oneOf": [True]}]}),
        ({"allOf": [{"a": 1}]}, {"allOf": [{"b": 1}]}, {"allOf": [{"a": 1}, {"b": 1}]}),
        ({"if": {}, "then": {"a": 1}}, {"then": {}}, {"if": {}, "then": {"a": 1}, "allOf": [{"then": {}}]}),
        ({"items": {"a": 1}}, {"prefixItems": [{}]}, {"items": {"a": 1}, "allOf": [{"prefixItems": [{}]}]}),
        ({"additionalProperties": False}, {"additionalProperties": True}, {"additionalProperties": False}),
        ({"additionalProperties": True}, {"additionalProperties": {"a": 1}}, {"additionalProperties": {"a": 1}}),
        ({"properties": {"a": True}}, {"properties": {"a": {"x": 1}}}, {"properties": {"a": {"x": 1}}}),
        ({"properties": {"a": {"x": 1}}}, {"properties": {"a": False}}, {"properties": {"a": False}}),
        (
            {"properties": {"a": {"$ref": "#/1"}}},
            {"properties": {"a": {"$ref": "#/2"}}},
            {"properties": {"a": {"$ref": "#/1", "allOf": [{"$ref": "#/2"}]}}},
        ),
    ],
)
def test_demands_are_joined(one: Any, other: Any, merged: Any) -> None:
    assert merge([one, other]) == merged


@pytest.mark.parametrize(
    ("schema", "expected"),
    [({}, True), ({"type": "object"}, True), ({"type": ["null", "object"]}, True), ({"type": "array"}, False)],
)
def test_an_object_is_known(schema: Any, expected: bool) -> None:
    assert is_object(schema) is expected


IDS = [f"gts.p.q.r.t{number}.v1~" for number in range(5)]
LEAVES: list[Any] = [
    {"type": "string"},
    {"type": "integer", "minimum": 2},
    {"enum": [1, "a", None]},
    {"const": "a"},
    {"type": ["object", "null"]},
    {"type": "array", "maxItems": 1},
    True,
    {},
]
VALUES: list[Any] = [None, True, 0, 1, 3, "a", "b", [], ["a", 1], {}]


def random_schema(chance: random.Random, depth: int) -> Any:
    """Without closed objects: folding opens those to what derives from them, on purpose."""
    if depth == 0 or chance.random() < 0.2:
        return chance.choice([*LEAVES, {"$ref": f"gts://{chance.choice(IDS)}"}, {"$ref": "#/$defs/own"}])

    def inner() -> Any:
        return random_schema(chance, depth - 1)

    makers: list[Callable[[], dict[str, Any]]] = [
        lambda: {"allOf": [inner(), inner()]},
        lambda: {"anyOf": [inner(), inner()]},
        lambda: {"oneOf": [inner(), inner()]},
        lambda: {"not": inner()},
        lambda: {"if": inner(), "then": inner(), "else": inner()},
        lambda: {"type": "object", "properties": {"a": inner(), "b": inner()}, "required": ["a"]},
        lambda: {"properties": {"a": inner()}, "patternProperties": {"^b": inner()}},
        lambda: {"items": inner()},
        lambda: {"prefixItems": [inner()], "items": inner()},
        lambda: {"contains": inner(), "minContains": 1},
        lambda: {"dependentSchemas": {"a": inner()}},
        lambda: {"propertyNames": inner(), "minProperties": 1},
    ]
    made = chance.choice(makers)() | chance.choice(makers)()
    return made | {"$ref": f"gts://{chance.choice(IDS)}"} if chance.random() < 0.2 else made


def random_value(chance: random.Random, depth: int) -> Any:
    if depth == 0 or chance.random() < 0.4:
        return chance.choice(VALUES)
    if chance.random() < 0.3:
        return [random_value(chance, depth - 1) for _ in range(chance.randrange(3))]
    return {name: random_value(chance, depth - 1) for name in "abc" if chance.random() < 0.6}


def test_a_bundle_means_what_the_types_mean() -> None:
    """jsonschema, which resolves references by itself, judges random values by random types and by their bundle."""
    chance = random.Random(2020)  # noqa: S311 - the same schemas every time
    verdicts = {True: 0, False: 0}
    for _ in range(500):
        types = {}
        for type_id in IDS:
            drawn = random_schema(chance, 2)
            body = {} if isinstance(drawn, bool) else drawn
            types[type_id] = {**body, "$id": f"gts://{type_id}", "$defs": {"own": random_schema(chance, 1)}}
        root = types[IDS[0]]
        resources = [(f"gts://{type_id}", DRAFT202012.create_resource(held)) for type_id, held in types.items()]
        spread = Draft202012Validator(root, registry=Registry().with_resources(resources))
        if unending(bundle({"anyOf": [{"$ref": f"gts://{IDS[0]}"}]}, types)):
            continue  # jsonschema would not come back
        whole = bundle(root, types)
        assert "gts://" not in json.dumps(whole)
        assert all("$id" not in place.schema for place in places(whole))
        bundled = Draft202012Validator(whole, registry=Registry())
        for _ in range(12):
            value = random_value(chance, 2)
            verdict = spread.is_valid(value)
            assert bundled.is_valid(value) is verdict, (json.dumps(types), json.dumps(whole), value)
            verdicts[verdict] += 1
    assert min(verdicts.values()) > 100


@pytest.mark.parametrize(
    ("schema", "endless"),
    [
        ({"$ref": "#"}, True),
        ({"anyOf": [{"type": "null"}, {"$ref": "#"}]}, True),
        ({"properties": {"a": {"not": {"$ref": "#/properties/a"}}}}, True),
        (
            {"$defs": {"a": {"if": {"$ref": "#/$defs/b"}}, "b": {"dependentSchemas": {"x": {"$ref": "#/$defs/a"}}}}},
            True,
        ),
        ({"properties": {"a": {"$ref": "#"}}}, False),
        ({"items": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, False),
        ({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"contains": {"$ref": "#"}}}}, False),
    ],
)
def test_a_schema_without_end_is_known(schema: dict[str, Any], endless: bool) -> None:
    assert (unending(schema) is not None) is endless


def test_the_part_that_leads_back_is_named() -> None:
    schema = {"properties": {"a": {"items": {"anyOf": [{"type": "null"}, {"$ref": "#/properties/a/items"}]}}}}
    endless = unending(schema)
    assert endless is not None
    assert endless.path == ("properties", "a", "items", "anyOf", 1)
