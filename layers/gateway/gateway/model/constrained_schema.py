"""A schema as constrained decoding takes it: closed objects and no bounds.

An object that says nothing of further members is closed: what satisfies it closed satisfies it open. What the decoder
cannot enforce is said in the descriptions, and the reply is held against the whole schema afterwards. Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
(JSON Schema limitations), https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.schema_parts import DEFINITIONS, is_recursive, places

FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
NUMERIC = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
OF_TYPE = {
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    "array": {"items", "minItems", "maxItems", "uniqueItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": NUMERIC,
    "integer": NUMERIC,
}
KEPT = {"type", "properties", "required", "additionalProperties", "items", "anyOf", "allOf", "enum", "const", "title"}
SAID = {
    *NUMERIC,
    *("minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minProperties"),
    *("maxProperties", "default", "examples"),
}
LEFT_OUT = {"$schema", "$comment", "deprecated", "readOnly", "writeOnly", "discriminator"}
MAX_OPTIONAL, MAX_UNIONS = 24, 16
FORMS = ("type", "anyOf", "allOf", "enum", "const")


class _Inexpressible(Exception):
    pass


def constrained(schema: Json) -> Json | None:
    """None when it demands what has no other form: objects of any members, recursion, tuples, conditions and the like.

    `schema` is a JSON Schema whose references are JSON pointers.
    """
    optional, unions = complexity(schema)
    if is_recursive(schema) or optional > MAX_OPTIONAL or unions > MAX_UNIONS:
        return None
    try:
        return _part(schema)
    except _Inexpressible:
        return None


def complexity(schema: Json) -> tuple[int, int]:
    """How many members are optional, and how many values may be of one kind or another."""
    parts = [place.schema for place in places(schema)]
    optional = sum(len(part.get("properties", {}).keys() - set(part.get("required", ()))) for part in parts)
    unions = sum("anyOf" in part or "oneOf" in part or isinstance(part.get("type"), list) for part in parts)
    return optional, unions


def _part(part: Any) -> Json:
    if not isinstance(part, dict):
        raise _Inexpressible
    named = {word: {name: _part(held) for name, held in part[word].items()} for word in DEFINITIONS & part.keys()}
    if "$ref" in part:
        if part.keys() - DEFINITIONS - LEFT_OUT - {"$ref", "title", "description", "default"}:
            raise _Inexpressible
        return {"$ref": part["$ref"], **named}
    if isinstance(part.get("type"), list):
        return {**_alternatives(part), **named}
    part = {("anyOf" if word == "oneOf" else word): value for word, value in part.items() if word not in DEFINITIONS}
    if part.keys() - KEPT - SAID - LEFT_OUT - {"description"} or not any(form in part for form in FORMS):
        raise _Inexpressible
    plain = {word: _member(word, part[word]) for word in part if word in KEPT or _is_enforced(word, part[word])}
    if plain.get("type") == "object":
        plain = _closed(plain)
    said = {word: value for word, value in part.items() if word in SAID and word not in plain}
    if description := _description(part.get("description"), said):
        plain["description"] = description
    return {**plain, **named}


def _alternatives(part: Json) -> Json:
    """A list of types as one schema for each, with what concerns this type."""
    types = part["type"]
    around: Json = {word: part[word] for word in ("title", "description") if word in part}
    inner = {word: value for word, value in part.items() if word not in ("title", "description", *DEFINITIONS)}
    of_some_type = {word for words in OF_TYPE.values() for word in words}

    def of(name: str) -> Json:
        foreign = of_some_type - OF_TYPE.get(name, set())
        own = {word: value for word, value in inner.items() if word not in foreign}
        return _part({**_of_type(own, name), "type": name})

    return {"anyOf": [of(name) for name in types if _has_values(inner, name)], **around}


def _values(part: Json) -> list[Any] | None:
    """Those that it names, if it does."""
    if "const" in part:
        return [part["const"]]
    values = part.get("enum")
    return values if isinstance(values, list) else None


def _has_values(part: Json, name: str) -> bool:
    values = _values(part)
    return values is None or any(_is_of(value, name) for value in values)


def _of_type(part: Json, name: str) -> Json:
    """With those of its values that have this type: Anthropic refuses an enum with others.
    https://github.com/BerriAI/litellm/issues/37881
    """
    if isinstance(part.get("enum"), list):
        return {**part, "enum": [value for value in part["enum"] if _is_of(value, name)]}
    return part


def _is_of(value: Any, name: str) -> bool:
    if isinstance(value, bool) or name == "boolean":
        return isinstance(value, bool) and name == "boolean"
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _PYTHON_TYPES.get(name, object))


_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "array": list,
}


def _member(word: str, value: Any) -> Any:
    if word == "properties":
        return {name: _part(held) for name, held in value.items()}
    if word == "items":
        return _part(value)
    if word in ("anyOf", "allOf"):
        if word == "allOf" and any("$ref" in inner for inner in value if isinstance(inner, dict)):
            raise _Inexpressible
        return [_part(inner) for inner in value]
    constants = value if word == "enum" else [value] if word == "const" else []
    if any(isinstance(constant, dict | list) for constant in constants):
        raise _Inexpressible
    return value


def _is_enforced(word: str, value: Any) -> bool:
    return (word == "format" and value in FORMATS) or (word == "minItems" and value in (0, 1))


def _closed(plain: Json) -> Json:
    """One that is there for members it does not name cannot be."""
    properties = plain.get("properties", {})
    if plain.get("additionalProperties", not properties) is not False:
        raise _Inexpressible
    return {**plain, "properties": properties, "additionalProperties": False}


def _description(description: Any, said: Json) -> str | None:
    texts = [description] if isinstance(description, str) and description else []
    if said:
        texts.append(f"Has to satisfy {msgspec.json.encode(said).decode()}")
    return "\n\n".join(texts) or None
