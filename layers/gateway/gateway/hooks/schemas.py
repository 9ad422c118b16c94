"""A JSON Schema as hooks see it: what it tells a model, which may be changed, and what it demands, which may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.hooks.subject import Change, json_with, strings_of
from gateway.model.schema_parts import OF_LISTS, OF_NAMES, OF_ONE

_TELLING = {"title", "description", "$comment"}
_SHOWING = {"default", "examples", "example"}
"""Data that no value is held against."""
_WORDS = {
    *("$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"),
    *("type", "enum", "const", "format", "pattern", "required", "dependentRequired", "nullable", "deprecated"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "readOnly"),
    *("minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"),
    *("contentMediaType", "contentEncoding", "writeOnly", *OF_LISTS, *OF_NAMES, *OF_ONE),
}
_TYPES = {"null", "boolean", "object", "array", "number", "integer", "string"}
# https://json-schema.org/draft/2020-12/json-schema-validation#section-7.3
_FORMATS = {
    *("date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri"),
    *(
        "uri-reference",
        "iri",
        "iri-reference",
        "uuid",
        "uri-template",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    ),
}
_DIALECTS = ("http://json-schema.org/", "https://json-schema.org/")


def schema_with(schema: Any, change: Change) -> Any:
    """With its texts and examples changed; what it demands stays."""
    if isinstance(schema, list):
        return [schema_with(part, change) for part in schema]
    if isinstance(schema, dict):
        return {keyword: _value_with(keyword, value, change) for keyword, value in schema.items()}
    return schema


def schema_demands(schema: Any) -> Iterator[str]:
    """All strings that `schema_with` leaves, names of properties too, but the words of JSON Schema itself."""
    if isinstance(schema, list):
        for part in schema:
            yield from schema_demands(part)
    elif isinstance(schema, dict):
        for keyword, value in schema.items():
            if not _may_change(keyword, value):
                yield from _demands(keyword, value)
    else:
        yield from strings_of(schema)


def _value_with(keyword: str, value: Any, change: Change) -> Any:
    if _may_change(keyword, value):
        return json_with(value, change)
    if keyword in OF_NAMES and isinstance(value, dict):
        return {name: schema_with(part, change) for name, part in value.items()}
    return schema_with(value, change) if keyword in OF_LISTS or keyword in OF_ONE else value


def _may_change(keyword: str, value: Any) -> bool:
    return keyword in _SHOWING or (keyword in _TELLING and isinstance(value, str))


def _demands(keyword: str, value: Any) -> Iterator[str]:
    if keyword in OF_NAMES and isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from schema_demands(part)
    elif keyword in OF_LISTS or keyword in OF_ONE:
        yield from schema_demands(value)
    else:
        if keyword not in _WORDS:
            yield keyword
        for one in value if isinstance(value, list) else [value]:
            if not _is_of_the_standard(keyword, one):
                yield from strings_of(one)


def _is_of_the_standard(keyword: str, value: Any) -> bool:
    """Bounds are numbers and nobody's."""
    if isinstance(value, str):
        is_dialect = keyword == "$schema" and value.startswith(_DIALECTS)
        return is_dialect or (keyword == "type" and value in _TYPES) or (keyword == "format" and value in _FORMATS)
    return isinstance(value, int) and keyword in _WORDS - {"enum", "const"}
