"""JSON Schema 2020-12: is it one, does a text satisfy it, and is it of the closed kind that providers call strict?

`jsonschema` takes 80 ms to import, so it is loaded when the first schema comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import Detail

MAX_VIOLATIONS = 100


def schema_violations(schema: Json, at: str) -> tuple[Detail, ...]:
    """Why `schema`, which stands at the pointer `at`, is not a JSON Schema; empty when it is one."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - see above
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return (Detail(at + pointer(error.absolute_path), error.message),)
    return ()


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
        found = [Detail(pointer(error.absolute_path), error.message) for error in islice(errors, MAX_VIOLATIONS)]
    except Unresolvable as error:
        return (Detail("", f"the schema refers to what it does not have: {error}"),)
    except RecursionError:
        return (Detail("", "the schema or the reply is nested too deeply to be checked"),)
    return tuple(found)


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
