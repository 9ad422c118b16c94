"""Schemas of types: what they refer to, and what makes one unusable.

Spec 0.11, sections 9.1 and 11: https://github.com/GlobalTypeSystem/gts-spec
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from gateway.gts.ids import SCHEME, MalformedId, parse
from gateway.model.chat import Json
from gateway.model.errors import Detail
from gateway.model.json_schema import MAX_BYTES
from gateway.model.schema_parts import OF_LISTS, OF_NAMES, OF_ONE, REFERENCES, at_pointer, places, pointer

MAX_DEPTH = 32
TOO_FAR = f"references lead to others more than {MAX_DEPTH} times"
TOO_LARGE_TOGETHER = f"with all it refers to, the schema is larger than {MAX_BYTES} bytes"
_SCHEME_BYTES = SCHEME.encode()


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
            reason = _ill(keyword, value, schema) if keyword in REFERENCES else _misshapen(keyword, value)
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
