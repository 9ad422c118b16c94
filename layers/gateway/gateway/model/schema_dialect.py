"""Dialects of JSON Schema: a schema in draft 7 becomes one in 2020-12, which everything after works with."""

from __future__ import annotations

from typing import Any

from gateway.model.chat import Json
from gateway.model.schema_parts import OF_LISTS, OF_NAMES, OF_ONE, places

DRAFT_7, DRAFT_2020_12 = "http://json-schema.org/draft-07/schema", "https://json-schema.org/draft/2020-12/schema"
_NAMES = {
    "json-schema.org/draft-07/schema": DRAFT_7,
    "json-schema.org/draft/2020-12/schema": DRAFT_2020_12,
    "json-schema.org/schema": DRAFT_2020_12,
}
"""Said with http and with https."""
_OLDER = {"additionalItems", "dependencies"}


def dialect_of(schema: Json) -> str:
    """By its `$schema`; one that names none, or no version, is in the latest."""
    given = str(schema.get("$schema", DRAFT_2020_12)).removesuffix("#")
    return _NAMES.get(given.partition("://")[2], given)


def modern(schema: Json) -> Json:
    """The same in 2020-12; the very schema where it needs no change."""
    return _moved(schema) if any(_is_older(place.schema) for place in places(schema)) else schema


def _is_older(part: Json) -> bool:
    marks_place = str(part.get("$id", "")).startswith("#")
    named = "$schema" in part and dialect_of(part) == DRAFT_7
    return bool(_OLDER & part.keys()) or isinstance(part.get("items"), list) or marks_place or named


def _moved(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    words = {word: value for word, value in renamed(part).items() if word != "$schema"}
    return {word: _moved_value(word, value) for word, value in words.items()}


def _moved_value(word: str, value: Any) -> Any:
    if isinstance(value, dict) and word in OF_NAMES:
        return {name: _moved(held) for name, held in value.items()}
    if isinstance(value, list) and word in OF_LISTS:
        return [_moved(held) for held in value]
    return _moved(value) if word in OF_ONE else value


def renamed(part: Json) -> Json:
    """Draft 7's words that 2020-12 has other ones for. Source: https://json-schema.org/draft/2020-12/release-notes"""
    own_id = part.get("$id")
    marks_place = isinstance(own_id, str) and own_id.startswith("#")
    if not {"items", *_OLDER} & part.keys() and not marks_place:
        return part
    modern_part = {word: value for word, value in part.items() if word not in _OLDER}
    if marks_place:
        modern_part["$anchor"] = str(modern_part.pop("$id"))[1:]
    if isinstance(part.get("items"), list):
        modern_part["prefixItems"] = modern_part.pop("items")
        if "additionalItems" in part:
            modern_part["items"] = part["additionalItems"]
    for name, needed in part.get("dependencies", {}).items():
        word = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
        modern_part[word] = {**modern_part.get(word, {}), name: needed}
    return modern_part
