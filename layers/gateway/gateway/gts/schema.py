"""Schemas of types: their parts, what they refer to, and what makes one unusable.

Only schema positions are looked at: what stands in `default`, `const`, `enum` or `examples` is data, and a property may
have any name, `$ref` too. Spec 0.11, sections 9.1 and 11: https://github.com/GlobalTypeSystem/gts-spec
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from gateway.gts.ids import SCHEME, MalformedId, parse
from gateway.model.chat import Json
from gateway.model.errors import Detail
from gateway.model.json_schema import pointer

MAX_DEPTH = 32
MAX_BYTES = 256 * 1024
TOO_FAR = f"references lead to others more than {MAX_DEPTH} times"
TOO_LARGE_TOGETHER = f"with all it refers to, the schema is larger than {MAX_BYTES} bytes"
ENDLESS = "the schema refers to itself for the same value, without an end"
# Keywords by what they hold: schemas by name, a list of schemas, one schema.
OF_NAMES = {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
OF_LISTS = {"allOf", "anyOf", "oneOf", "prefixItems", "items"}
OF_ONE = {
    *("items", "additionalItems", "unevaluatedItems", "contains", "additionalProperties", "unevaluatedProperties"),
    *("propertyNames", "not", "if", "then", "else", "contentSchema"),
}
_INDEX = re.compile("0|[1-9][0-9]{0,6}")
_ELSEWHERE = {"additionalItems", "dependencies"}
_SAME_VALUE = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"}
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_SCHEME_BYTES = SCHEME.encode()


class Place(NamedTuple):
    """A schema within another: how to get there, and how many schemas are round it."""

    path: tuple[str | int, ...]
    depth: int
    schema: Json


def places(schema: Json) -> Iterator[Place]:
    """The schema itself, and every schema in it, as they are written."""
    waiting = [Place((), 0, schema)]
    while waiting:
        place = waiting.pop()
        yield place
        inner = [Place((*place.path, *step), place.depth + 1, part) for step, part in _inner(place.schema)]
        waiting += reversed(inner)


def _inner(schema: Json) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    for keyword, value in schema.items():
        inner: list[tuple[tuple[str | int, ...], Any]] = []
        if isinstance(value, dict):
            if keyword in OF_NAMES:
                inner = [((keyword, name), held) for name, held in value.items()]
            elif keyword in OF_ONE:
                inner = [((keyword,), value)]
        elif isinstance(value, list) and keyword in OF_LISTS:
            inner = [((keyword, number), held) for number, held in enumerate(value)]
        yield from ((step, held) for step, held in inner if isinstance(held, dict))


def own_id(schema: Json) -> str | None:
    """The id in `$id`, without scheme."""
    given = schema.get("$id")
    return given.removeprefix(SCHEME) if isinstance(given, str) else None


def referred_types(schema: Json) -> set[str]:
    """The ids of the types it refers to directly, itself left out. Ill-formed references are `defects`."""
    refs = (place.schema.get("$ref") for place in places(schema))
    ids = {ref.removeprefix(SCHEME) for ref in refs if isinstance(ref, str) and ref.startswith(SCHEME)}
    return {type_id for type_id in ids - {own_id(schema)} if _not_a_type(type_id) is None}


def refers_to_types(schema: Json) -> bool:
    """Whether it has `gts://` references, well-formed or not; cheap where it has none."""
    return _SCHEME_BYTES in msgspec.json.encode(schema) and any(
        str(place.schema.get("$ref")).startswith(SCHEME) for place in places(schema)
    )


class Surveyed(NamedTuple):
    """A document, as far as finding one's way needs it."""

    refers_to: set[str]
    size_bytes: int


def survey(types: Mapping[str, Json]) -> dict[str, Surveyed]:
    """Each document looked at once, however often it is referred to."""
    return {
        type_id: Surveyed(referred_types(document), len(msgspec.json.encode(document)))
        for type_id, document in types.items()
    }


class Reach(NamedTuple):
    """`missing`: what is referred to and not there, each with the type that refers to it, if one does.

    `size_bytes`: of the schema and all types that it leads to.
    """

    missing: dict[str, str | None]
    too_far: bool
    size_bytes: int


def reach(schema: Json, surveyed: Mapping[str, Surveyed]) -> Reach:
    """Follows every reference, up to MAX_DEPTH of them in a row. A schema means itself by its own `$id`."""
    missing: dict[str, str | None] = {}
    size_bytes = len(msgspec.json.encode(schema))
    seen = {own_id(schema)}
    level: dict[str, str | None] = dict.fromkeys(sorted(referred_types(schema)))
    for _ in range(MAX_DEPTH):
        seen |= level.keys()
        missing |= {type_id: by for type_id, by in level.items() if type_id not in surveyed}
        there = [type_id for type_id in level if type_id in surveyed]
        size_bytes += sum(surveyed[type_id].size_bytes for type_id in there)
        below = {inner: type_id for type_id in there for inner in sorted(surveyed[type_id].refers_to)}
        level = {type_id: by for type_id, by in below.items() if type_id not in seen}
    return Reach(missing, bool(level), size_bytes)


def is_endless(schema: Json) -> bool:
    """Whether a part leads back to itself without going on into the value, so that no judgement would come to an end.

    `schema` has local references only.
    """
    judged: set[int] = set()
    for place in places(schema):
        way = [(id(place.schema), _beside(place.schema, schema))]
        while way:
            here, beside = way[-1]
            if here in judged or (part := next(beside, None)) is None:
                judged.add(here)
                way.pop()
            elif id(part) in (part_id for part_id, _ in way):
                return True
            else:
                way.append((id(part), _beside(part, schema)))
    return False


def _beside(part: Json, schema: Json) -> Iterator[Json]:
    """The schemas that judge the same value as `part` does."""
    if isinstance(ref := part.get("$ref"), str) and isinstance(target := at_pointer(schema, ref), dict):
        yield target
    yield from (inner for step, inner in _inner(part) if step[0] in _SAME_VALUE)


def defects(schema: Json, at: str) -> Iterator[Detail]:
    """What makes it unusable, whatever else is registered. `at`: the pointer to it."""
    if len(msgspec.json.encode(schema)) > MAX_BYTES:
        yield Detail(at, f"larger than {MAX_BYTES} bytes")
        return
    for place in places(schema):
        here = at + pointer(place.path)
        if place.depth > MAX_DEPTH:
            yield Detail(here, f"schemas nest more than {MAX_DEPTH} deep")
            return
        if place.path and "$id" in place.schema:
            yield Detail(f"{here}/$id", "only the whole schema has an $id")
        for keyword, value in place.schema.items():
            reason = _ill(keyword, value, schema) if keyword in _REFERENCES else _misshapen(keyword, value)
            if reason:
                yield Detail(here + pointer((keyword,)), reason)


def _misshapen(keyword: str, value: Any) -> str | None:
    """Only of keywords that are worked on here; the rest is between its author and the provider."""
    if keyword == "dependencies":
        return None if isinstance(value, dict) and _all(value.values(), (dict, bool, list)) else "not schemas by name"
    if keyword in OF_NAMES:
        return None if isinstance(value, dict) and _all(value.values(), (dict, bool)) else "not schemas by name"
    if keyword in OF_LISTS and isinstance(value, list):
        return None if _all(value, (dict, bool)) else "not a list of schemas"
    if keyword in OF_ONE:
        return None if isinstance(value, dict | bool) else "not a schema"
    if keyword in OF_LISTS:
        return "not a list of schemas"
    if keyword == "required" or (keyword == "type" and not isinstance(value, str)):
        return None if isinstance(value, list) and _all(value, (str,)) else "not a list of names"
    return None


def _all(values: Iterable[Any], kinds: tuple[type, ...]) -> bool:
    return all(isinstance(value, kinds) for value in values)


def _ill(keyword: str, ref: Any, schema: Json) -> str | None:
    if keyword != "$ref":
        return "only $ref can be resolved"
    if not isinstance(ref, str):
        return "a reference is a string"
    if ref.startswith(SCHEME):
        return _not_a_type(ref.removeprefix(SCHEME))
    if ref.startswith("gts."):
        return f"write {SCHEME}{ref}"
    if ref != "#" and not ref.startswith("#/"):
        return f"a reference is {SCHEME}<type id> or #/<pointer>"
    return "points to no schema" if at_pointer(schema, ref) is None else None


def _not_a_type(text: str) -> str | None:
    try:
        return None if parse(text).is_type else "a schema refers to types, whose ids end in '~'"
    except MalformedId as error:
        return str(error)


def at_pointer(schema: Json, ref: str) -> Json | bool | None:
    """The schema that `#` or `#/<pointer>` points to, where schemas stand; None for anything else.

    What stands elsewhere does not move along with the schema, nor does what 2020-12 has another place for.
    """
    found: Any = schema
    steps = [step.replace("~1", "/").replace("~0", "~") for step in reversed(unquote(ref).split("/")[1:])]
    while steps:
        keyword = steps.pop()
        held = found.get(keyword) if isinstance(found, dict) and keyword not in _ELSEWHERE else None
        if isinstance(held, list) and keyword in OF_LISTS and keyword != "items" and steps:
            number = steps.pop()
            found = held[int(number)] if _INDEX.fullmatch(number) and int(number) < len(held) else None
        elif isinstance(held, dict) and keyword in OF_NAMES and steps:
            found = held.get(steps.pop())
        else:
            found = held if keyword in OF_ONE else None
    return found if isinstance(found, dict | bool) else None
