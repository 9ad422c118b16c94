"""What may be registered, and that everything wrong is told at once."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.gts.registration import check, needed_types, read_candidates
from gateway.gts.schema import MAX_DEPTH
from gateway.model.chat import Json
from gateway.model.json_schema import MAX_BYTES

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
NEWEST = "https://json-schema.org/draft/2020-12/schema"
BASE = "gts.x.test7.base.type.v1~"
CHILD = f"{BASE}x.test7.derived.type.v1~"
FUNCTION = "gts.x.faas.core.func.v1~"


def a_type(type_id: str, dialect: str = NEWEST, **body: Any) -> Json:
    return {"$schema": dialect, "$id": f"gts://{type_id}", **body}


def ref(type_id: str) -> Json:
    return {"$ref": f"gts://{type_id}"}


def outcome(*documents: Json, known: dict[str, Json] | None = None) -> tuple[list[str], list[str]]:
    """(unusable, missing), each as "pointer: reason"."""
    candidates, ill_named = read_candidates(documents, "/types")
    unusable, missing = check(candidates, known or {})
    told = ([*ill_named, *unusable], missing)
    unusable_text, missing_text = ([f"{detail.pointer}: {detail.reason}" for detail in details] for details in told)
    return unusable_text, missing_text


@pytest.mark.parametrize("dialect", [NEWEST, DRAFT_7, NEWEST + "#", DRAFT_7.removesuffix("#")])
def test_a_good_type_is_good(dialect: str) -> None:
    body = {"definitions": {"a": {"type": "string"}}, "allOf": [{"$ref": "#/definitions/a"}], "x-gts-final": True}
    assert outcome(a_type(BASE, dialect, **body)) == ([], [])


def test_types_of_one_request_may_need_each_other() -> None:
    other = "gts.x.test7.other.type.v1~"
    one = a_type(BASE, properties={"other": ref(other), "me": ref(BASE)})
    two = a_type(other, items=ref(BASE))
    child = a_type(CHILD, allOf=[ref(BASE), {"required": ["me"]}])
    assert outcome(child, two, one) == ([], [])
    candidates, _ = read_candidates([child, two, one], "/types")
    assert [candidate.depends_on for candidate in candidates] == [{BASE}, {BASE}, {other}]
    assert needed_types(candidates, {}) == set()


def test_what_is_needed_is_found_through_what_is_there() -> None:
    far, instance = "gts.x.test7.far.type.v1~", f"{BASE}x.test7._.thing.v1"
    candidates, _ = read_candidates([a_type(CHILD, items=ref(far)), {"id": instance}], "/types")
    assert needed_types(candidates, {}) == {BASE, far}
    deeper = "gts.x.test7.deeper.type.v1~"
    assert needed_types(candidates, {BASE: a_type(BASE, items=ref(deeper)), far: a_type(far)}) == {deeper}


def test_what_is_not_registered_is_all_told() -> None:
    lost = "gts.x.nonexistent.base.type.v1~"
    known = {BASE: a_type(BASE, items=ref(lost))}
    unusable, missing = outcome(
        a_type(f"{lost}x.a.b.c.v1~", allOf=[ref(lost)]),
        a_type(CHILD, properties={"a": ref(lost), "b": ref(BASE)}),
        {"id": f"{BASE}x.test7._.thing.v1"},
        {"id": f"{FUNCTION}x.test7._.call.v1", "params": {"a": 1}},
        known=known,
    )
    assert unusable == []
    assert missing == [
        f"/types/0: its parent {lost} is not registered",
        f"/types/1: {lost}, which it refers to, is not registered",
        f"/types/2: {lost}, which it refers to, is not registered",
        f"/types/3: its parent {FUNCTION} is not registered",
    ]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, ": a type has its id in $id"),
        ({"$schema": NEWEST}, ": a type has its id in $id"),
        ({"$id": f"gts://{BASE}"}, ": a type has its id in $id"),
        ({"$schema": NEWEST, "$id": BASE}, "/$id: an $id is gts://"),
        (a_type("gts.x.*"), "/$id: with a '*'"),
        (a_type("gts.x.bad-seg.ns.type.v1~"), "/$id: 'x.bad-seg"),
        (a_type(f"{BASE}x.test7._.thing.v1"), "/$id: the id of a type ends in '~'"),
        ({"id": BASE}, "/id: the id of a type ends in '~'"),
        ({"id": f"gts://{BASE}x.a.b.c.v1"}, "/id: write the id without"),
        ({"id": 5}, ": a type has its id in $id"),
        (a_type("gts.x." + "a" * 1000 + ".b.c.v1~"), "/$id: an id that is registered has at most 1000"),
    ],
)
def test_a_document_says_who_it_is(document: Json, told: str) -> None:
    ((only,), missing) = outcome(document)
    assert only.startswith(f"/types/0{told}")
    assert missing == []


def test_an_id_comes_once() -> None:
    assert outcome(a_type(BASE), a_type(BASE))[0] == [f"/types/1: {BASE} comes twice"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"type": "objekt"}, "/type: 'objekt' is not valid"),
        ({"minLength": -1}, "/minLength: -1 is less than"),
        ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern: '(' is not a 'regex'"),
        ({"properties": {"a": {"$ref": "https://example.com/base.json"}}}, "/properties/a/$ref: a reference is"),
        ({"allOf": [{"x-gts-final": True}]}, "/allOf/0/x-gts-final: stands at the document's top"),
        ({"allOf": [{"x-gts-traits": {}}]}, "/allOf/0/x-gts-traits: stands at the document's top"),
        ({"x-gts-final": "true"}, "/x-gts-final: not true or false"),
        ({"x-gts-final": True, "x-gts-abstract": True}, ": final and abstract at once"),
        ({"description": "a" * MAX_BYTES}, ": larger than"),
        ({"$schema": "https://json-schema.org/draft/2019-09/schema"}, "/$schema: a dialect is one of"),
        ({"$schema": 7}, "/$schema: a dialect is one of"),
        ({"anyOf": [{"$ref": "#"}]}, ": the schema refers to itself"),
    ],
)
def test_a_type_is_a_schema(body: Json, told: str) -> None:
    ((only,), missing) = outcome({**a_type(BASE), **body})
    assert only.startswith(f"/types/0{told}")
    assert missing == []


def test_everything_wrong_with_a_schema_is_told() -> None:
    bad = a_type(BASE, properties={"a": {"type": 1}, "b": {"minItems": "x"}})
    worse = a_type(CHILD, items={"$ref": "nowhere"}, required=3)
    unusable, missing = outcome(bad, worse)
    # A keyword of the wrong shape is told once, before the dialect is asked.
    assert len(unusable) == 3
    assert missing == []


def test_one_dialect_in_a_family() -> None:
    known = {BASE: a_type(BASE, DRAFT_7), "gts.a.b.c.d.v1~": a_type("gts.a.b.c.d.v1~")}
    assert outcome(a_type(CHILD, DRAFT_7, allOf=[ref(BASE)]), known=known) == ([], [])
    told, _ = outcome(a_type(CHILD, NEWEST, items=ref("gts.a.b.c.d.v1~")), known=known)
    assert told == [f"/types/0/$schema: {BASE} is in another dialect"]


def test_nothing_derives_from_a_final_type() -> None:
    known = {BASE: {**a_type(BASE), "x-gts-final": True}}
    assert outcome(a_type(CHILD), known=known)[0] == [f"/types/0: {BASE} is final: no type derives from it"]
    assert outcome({"id": f"{BASE}x.test7._.thing.v1"}, known=known) == ([], [])


def test_an_abstract_type_has_children_and_no_instances() -> None:
    known = {BASE: {**a_type(BASE), "x-gts-abstract": True}, CHILD: a_type(CHILD)}
    assert outcome(a_type(CHILD), known=known) == ([], [])
    told, _ = outcome({"id": f"{BASE}x.test7._.thing.v1"}, known=known)
    assert told == [f"/types/0: {BASE} is abstract: only types derived from it have instances"]
    assert outcome({"id": f"{CHILD}x.test7._.thing.v1"}, known=known) == ([], [])


def test_an_instance_satisfies_its_type_and_the_types_that_derives_from() -> None:
    known = {
        BASE: a_type(BASE, type="object", required=["id", "size"], properties={"size": {"type": "integer"}}),
        CHILD: a_type(CHILD, allOf=[ref(BASE)], properties={"size": {"minimum": 3}, "on": {"format": "date"}}),
    }
    good = {"id": f"{CHILD}x.test7._.thing.v1", "size": 3, "on": "2026-11-23"}
    assert outcome(good, {"id": f"{CHILD}7a1d2f34-5678-49ab-9012-abcdef123456", "size": 4}, known=known) == ([], [])
    bad = {"id": f"{CHILD}x.test7._.thing.v2", "size": 2, "on": "yesterday"}
    told, _ = outcome(bad, {"id": f"{CHILD}x.test7._.thing.v3"}, known=known)
    assert told == [
        "/types/0/size: 2 is less than the minimum of 3",
        "/types/0/on: 'yesterday' is not a 'date'",
        "/types/1: 'size' is a required property",
    ]


def test_an_instance_that_describes_a_function_refers_to_what_is_there() -> None:
    known = {FUNCTION: a_type(FUNCTION), BASE: a_type(BASE)}
    call = f"{FUNCTION}x.test7._.call.v1"
    assert outcome({"id": call, "params": ref(BASE)}, known=known) == ([], [])
    candidates, _ = read_candidates([{"id": call, "params": ref(BASE)}], "/types")
    assert candidates[0].depends_on == {FUNCTION, BASE}
    _, missing = outcome({"id": call, "params": {"items": ref(CHILD)}}, known=known)
    assert missing == [f"/types/0: {CHILD}, which it refers to, is not registered"]
    told, _ = outcome({"id": call, "params": {**ref(BASE), "items": {"$ref": "x"}}}, known=known)
    assert told[0].startswith("/types/0/params/items/$ref: a reference is")
    assert outcome({"id": call, "x-gts-final": True}, known=known)[0] == ["/types/0/x-gts-final: only types have this"]


@pytest.mark.parametrize("ref", [None, 7, [], {"a": 1}, "x", "http://[", "#", "#/nowhere"])
def test_an_instance_that_refers_to_no_types_is_data(ref: Any) -> None:
    known = {FUNCTION: a_type(FUNCTION)}
    assert outcome({"id": f"{FUNCTION}x.test7._.call.v1", "params": {"$ref": ref}}, known=known) == ([], [])


def test_references_lead_only_so_far() -> None:
    known = {f"gts.a.b.c.t{n}.v1~": a_type("x", items=ref(f"gts.a.b.c.t{n + 1}.v1~")) for n in range(MAX_DEPTH)}
    last = f"gts.a.b.c.t{MAX_DEPTH}.v1~"
    known[last] = a_type(last)
    assert outcome(a_type(BASE, items=ref("gts.a.b.c.t1.v1~")), known=known) == ([], [])
    told, _ = outcome(a_type(BASE, items=ref("gts.a.b.c.t0.v1~")), known=known)
    assert told == [f"/types/0: references lead to others more than {MAX_DEPTH} times"]


def test_a_family_is_not_larger_than_one_schema_may_be() -> None:
    half = {"description": "a" * (MAX_BYTES // 2)}
    known = {f"gts.a.b.c.t{n}.v1~": a_type(f"gts.a.b.c.t{n}.v1~", **half) for n in range(2)}
    told, _ = outcome(a_type(BASE, anyOf=[ref(key) for key in known]), known=known)
    assert told == [f"/types/0: with all it refers to, the schema is larger than {MAX_BYTES} bytes"]


def test_a_good_type_beside_a_bad_one_that_it_needs_waits() -> None:
    bad = a_type(BASE, allOf=5, properties={"a": {"$ref": "#/nowhere"}})
    good = a_type(CHILD, allOf=[ref(BASE)])
    unusable, missing = outcome(good, bad, {"id": f"{CHILD}x.test7._.thing.v1"})
    assert [told.partition(":")[0] for told in unusable] == ["/types/1/allOf", "/types/1/properties/a/$ref"]
    assert missing == []


WORDS = [
    *("$ref", "$id", "$schema", "id", "allOf", "anyOf", "not", "if", "properties", "items", "required", "type"),
    *("params", "x-gts-final", "x-gts-abstract", "$defs", "dependencies", "pattern", "format", "minLength"),
]
ATOMS = [None, True, -1, 1.5, "", "a", "object", "(", NEWEST, DRAFT_7, "#", f"gts://{BASE}", f"gts://{CHILD}", BASE]


def random_json(chance: random.Random, depth: int) -> Any:
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(ATOMS)
    if chance.random() < 0.3:
        return [random_json(chance, depth - 1) for _ in range(chance.randrange(3))]
    return {chance.choice(WORDS): random_json(chance, depth - 1) for _ in range(chance.randrange(4))}


def test_whatever_comes_is_taken_or_told() -> None:
    chance = random.Random(7)  # noqa: S311 - the same documents every time
    ids = [{"$schema": NEWEST, "$id": f"gts://{BASE}"}, {"$schema": DRAFT_7, "$id": f"gts://{CHILD}"}]
    names: list[Json] = [*ids, {"$schema": NEWEST, "$id": f"gts://{CHILD}"}, {"id": f"{BASE}x.y.z.thing.v1"}, {}]
    taken = 0
    for _ in range(1_500):
        drawn = [random_json(chance, 3) for _ in range(3)]
        documents = [{**one, **chance.choice(names)} for one in drawn if isinstance(one, dict)]
        unusable, missing = outcome(*documents, known={FUNCTION: a_type(FUNCTION)})
        taken += bool(documents) and not unusable and not missing
    assert taken > 50
