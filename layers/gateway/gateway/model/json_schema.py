"""JSON Schema 2020-12: is it one, does a text satisfy it, and is it of the closed kind that providers call strict?

`jsonschema` takes 80 ms to import, so it is loaded when the first schema comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import Detail

MAX_VIOLATIONS = 100
MAX_REASON_CHARS = 300
MAX_DEPTH = 64
UNCHECKABLE = (RecursionError, ArithmeticError, ValueError, TypeError, re.error)
"""What `jsonschema` raises for schemas and values that no sane one contains: depth, huge numbers, broken patterns."""

# A repetition of a repetition, as in (a+)+, takes time that doubles with each letter.
_ENDLESS_PATTERN = re.compile(r"[+*}]\)*[^()]*\)(?:[+*]|\{\d+,)")


def schema_violations(schema: Json, at: str) -> tuple[Detail, ...]:
    """Why `schema`, which stands at the pointer `at`, is not a JSON Schema to be used; empty when it is one."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - see above
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    if _depth(schema) > MAX_DEPTH:
        return (Detail(at, f"nested more than {MAX_DEPTH} levels deep"),)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return (_detail(at, error),)
    except UNCHECKABLE as error:
        return (Detail(at, f"cannot be used ({type(error).__name__})"),)
    return tuple(Detail(at + where, "this pattern could take endless time") for where in _endless_patterns(schema, ""))


def text_violations(text: str, schema: Json) -> tuple[Detail, ...]:
    """Every way in which `text` is not JSON that satisfies `schema`; pointers are into the decoded text."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from jsonschema.exceptions import ValidationError  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return (Detail("", f"not valid JSON: {error}"),)
    # An empty registry: jsonschema's own default would fetch `$ref`s from the network.
    errors: Iterator[ValidationError] = Draft202012Validator(schema, registry=Registry()).iter_errors(value)
    try:
        return tuple(_detail("", error) for error in islice(errors, MAX_VIOLATIONS))
    except Unresolvable as error:
        return (Detail("", f"the schema refers to what it does not have: {error}"[:MAX_REASON_CHARS]),)
    except UNCHECKABLE as error:
        return (Detail("", f"the reply cannot be held against the schema ({type(error).__name__})"),)


def _detail(at: str, error: Any) -> Detail:
    """jsonschema quotes the value at fault whole, which may be the whole reply: the end of its sentence says why."""
    said: str = error.message
    if len(said) > MAX_REASON_CHARS:
        said = f"breaks {error.validator!r}: …{said[-MAX_REASON_CHARS // 2 :]}"
    return Detail(at + pointer(error.absolute_path), said)


def _depth(value: Any) -> int:
    """Levels of objects and lists, without recursion: the value may be too deep for that."""
    level, depth = [value], 0
    while level := [
        inner
        for outer in level
        if isinstance(outer, dict | list)
        for inner in (outer.values() if isinstance(outer, dict) else outer)
    ]:
        depth += 1
    return depth


def _endless_patterns(schema: Any, at: str) -> Iterator[str]:
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from _endless_patterns(part, f"{at}/{index}")
    elif isinstance(schema, dict):
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and _ENDLESS_PATTERN.search(pattern):
            yield f"{at}/pattern"
        named = schema.get("patternProperties")
        if isinstance(named, dict) and any(_ENDLESS_PATTERN.search(name) for name in named):
            yield f"{at}/patternProperties"
        for name, part in schema.items():
            yield from _endless_patterns(part, at + pointer((name,)))


def pointer(path: Any) -> str:
    """RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def is_strict(schema: Any) -> bool:
    """Whether every object in it is closed and requires all its members, as strict structured output demands.

    Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    if isinstance(schema, list):
        return all(is_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if "properties" in schema or schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(schema.get("properties", ())):
            return False
    members = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    return all(is_strict(part) for part in (*members, schema.get("items"), schema.get("anyOf")))
