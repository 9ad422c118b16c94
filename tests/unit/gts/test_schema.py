"""What a schema refers to, and what makes one unusable. Cases of `$ref` as in the spec's suite for operation 7."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.gts.schema import MAX_DEPTH, defects, reach, referred_types, refers_to_types, survey
from gateway.model.json_schema import MAX_BYTES

BASE = "gts.x.test7.base.type.v1~"
REF = {"$ref": f"gts://{BASE}"}
DATA = [{word: REF} for word in ("default", "const", "examples", "x-example", "enum")]
SCHEMAS: list[dict[str, Any]] = [
    REF,
    {"properties": {"a": REF}},
    {"properties": {"$ref": REF}},
    {"patternProperties": {"^a": REF}},
    {"$defs": {"a": REF}},
    {"definitions": {"a": REF}},
    {"dependentSchemas": {"a": REF}},
    {"dependencies": {"a": REF, "b": ["a"]}},
    *({word: [{}, REF, True]} for word in ("allOf", "anyOf", "oneOf", "prefixItems", "items")),
    *({word: REF} for word in ("items", "additionalItems", "unevaluatedItems", "contains", "propertyNames", "not")),
    *({word: REF} for word in ("additionalProperties", "unevaluatedProperties", "if", "then", "else", "contentSchema")),
    {"properties": {"a": {"items": {"anyOf": [{"not": REF}]}}}},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_references_are_found_wherever_schemas_stand(schema: dict[str, Any]) -> None:
    assert referred_types(schema) == {BASE}
    assert refers_to_types(schema)
    assert list(defects(schema, "")) == []


@pytest.mark.parametrize("schema", [*DATA, {"properties": {"$ref": {"type": "string"}}}], ids=str)
def test_data_and_names_are_not_references(schema: dict[str, Any]) -> None:
    assert referred_types(schema) == set()
    assert not refers_to_types(schema)
    assert list(defects(schema, "")) == []


def test_a_property_that_is_called_like_a_reference_is_none() -> None:
    schema = {"type": "object", "properties": {"$ref": {"const": "gts://nonsense"}, "$id": {"type": "string"}}}
    assert list(defects(schema, "")) == []


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ("gts.x.test7.invalid_ref.plain_prefix.v1~", "write gts://gts.x.test7"),
        ("gts://gts.x.test7.events.*.v1~", "a pattern"),
        ("https://example.com/schemas/base.json", "gts://<type id> or #/<pointer>"),
        ("base.json", "gts://<type id> or #/<pointer>"),
        ("gts://gts.x.bad-seg.ns.type.v1~", "is not <vendor>"),
        (f"gts://{BASE}x.y.z.thing.v1", "end in '~'"),
        (f"gts://{BASE}#/$defs/a", "is not <vendor>"),
        ("#anchor", "gts://<type id> or #/<pointer>"),
        ("#/$defs/nothing", "points to no schema"),
        ("#/required/0", "points to no schema"),
        ("#/required/7", "points to no schema"),
        ("#/properties", "points to no schema"),
        ("#/properties/a~1b/items/0", "points to no schema"),
        ("#/properties/a~1b/default", "points to no schema"),
        ("#/allOf/1", "points to no schema"),
        ("#/allOf/x", "points to no schema"),
        ("#/allOf/" + "9" * 5000, "points to no schema"),
        ("#/required/", "points to no schema"),
        ("#/", "points to no schema"),
        ("", "gts://<type id> or #/<pointer>"),
        (7, "is a string"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_told(ref: Any, reason: str) -> None:
    schema = {"required": ["a"], "allOf": [True], "properties": {"a/b": {"items": {"$ref": ref}}}}
    (detail,) = defects(schema, "/types/0")
    assert detail.pointer == "/types/0/properties/a~1b/items/$ref"
    assert reason in detail.reason


@pytest.mark.parametrize("ref", ["#", "#/$defs/a", "#/definitions/a%25~1~0", "#/allOf/0", "#/$defs/yes"])
def test_a_reference_within_the_schema_is_good(ref: str) -> None:
    schema = {
        "$defs": {"a": {}, "yes": True},
        "definitions": {"a%/~": {}},
        "allOf": [{}],
        "properties": {"x": {"$ref": ref}},
    }
    assert list(defects(schema, "")) == []


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"$dynamicRef": "#a"}, "/$dynamicRef"),
        ({"properties": {"a": {"$id": "gts://gts.a.b.c.d.v1~"}}}, "/properties/a/$id"),
        ({"properties": []}, "/properties"),
        ({"properties": {"a": 1}}, "/properties"),
        ({"allOf": {}}, "/allOf"),
        ({"allOf": [None]}, "/allOf"),
        ({"items": 3}, "/items"),
        ({"items": [3]}, "/items"),
        ({"not": "a"}, "/not"),
        ({"$defs": {"a": []}}, "/$defs"),
        ({"dependencies": {"a": "b"}}, "/dependencies"),
        ({"required": "a"}, "/required"),
        ({"required": [1]}, "/required"),
        ({"type": {"a": 1}}, "/type"),
        ({"type": [1]}, "/type"),
    ],
)
def test_a_schema_of_the_wrong_shape_is_told(schema: dict[str, Any], pointer: str) -> None:
    assert [detail.pointer for detail in defects(schema, "")] == [pointer]


def test_everything_wrong_is_told_at_once() -> None:
    schema = {"allOf": [{"$ref": "a"}, {"$ref": "#/b"}], "not": {"$ref": "gts.a"}, "required": 1}
    assert len(list(defects(schema, ""))) == 4


def test_a_schema_is_neither_too_large_nor_too_deep() -> None:
    deep: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        deep = {"items": deep}
    assert list(defects(deep, "")) == []
    (too_deep,) = defects({"items": deep}, "")
    assert too_deep.pointer == "/items" * (MAX_DEPTH + 1)
    (too_large,) = defects({"description": "a" * MAX_BYTES}, "/schema")
    assert (too_large.pointer, too_large.reason) == ("/schema", f"larger than {MAX_BYTES} bytes")


def type_id(name: str) -> str:
    return f"gts.x.test7.chain.{name}.v1~"


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"gts://{type_id(name)}"}


def test_what_is_missing_is_named_with_what_refers_to_it() -> None:
    types: dict[str, Any] = {type_id("a"): {"allOf": [ref("b"), ref("c")]}, type_id("b"): {"not": ref("d")}}
    reached = reach({"items": ref("a"), "not": ref("e")}, survey(types))
    assert reached.missing == {type_id("c"): type_id("a"), type_id("d"): type_id("b"), type_id("e"): None}
    assert not reached.too_far


def test_a_circle_is_walked_once() -> None:
    types = {type_id("a"): {"items": ref("b")}, type_id("b"): {"items": ref("a"), "not": ref("b")}}
    reached = reach(ref("a"), survey(types))
    assert (reached.missing, reached.too_far) == ({}, False)
    assert reached.size_bytes == sum(len(msgspec.json.encode(one)) for one in (ref("a"), *types.values()))


def test_a_schema_may_mean_itself() -> None:
    schema = {"$id": f"gts://{type_id('me')}", "items": ref("me"), "not": ref("other")}
    reached = reach(schema, survey({type_id("other"): {"items": ref("me")}}))
    assert (reached.missing, reached.too_far) == ({}, False)


def test_references_lead_only_so_far() -> None:
    types = {type_id(f"t{n}"): ref(f"t{n + 1}") for n in range(MAX_DEPTH)}
    types[type_id(f"t{MAX_DEPTH}")] = {"type": "string"}
    assert not reach(ref("t1"), survey(types)).too_far
    assert reach(ref("t0"), survey(types)).too_far
