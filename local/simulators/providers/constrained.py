"""What constrained decoding refuses of a schema, at Anthropic and at Bedrock, which are alike in this.

Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
"""

from __future__ import annotations

from typing import Any

from local.simulators.wire import Json, Refused

UNSUPPORTED = {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"),
    *("uniqueItems", "prefixItems", "not", "if", "patternProperties", "propertyNames", "contains", "oneOf"),
}


def check_constrained(schema: Any, where: str) -> None:
    """Raises Refused."""
    _check(schema, schema, where, ())


def _check(part: Any, root: Any, where: str, way: tuple[str, ...]) -> None:
    if not isinstance(part, dict):
        raise _refused(where, "a schema is an object")
    for word in sorted(UNSUPPORTED & part.keys()):
        raise _refused(where, f"For '{part.get('type')}' type, property '{word}' is not supported")
    if part.get("minItems", 0) not in (0, 1):
        raise _refused(where, "For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    if part.get("type") == "object" and part.get("additionalProperties") is not False:
        raise _refused(where, "For 'object' type, 'additionalProperties' must be explicitly set to false")
    if any(isinstance(value, dict | list) for value in part.get("enum", ())):
        raise _refused(where, "Complex types in enums are not supported")
    if isinstance(ref := part.get("$ref"), str):
        if ref in way:
            raise _refused(where, "Too many recursive definitions in schema")
        _check(_target(root, ref, where), root, where, (*way, ref))
    for inner in _inside(part):
        _check(inner, root, where, way)


def _inside(part: Json) -> list[Any]:
    named = list(part.get("properties", {}).values())
    listed = [held for word in ("anyOf", "allOf") for held in part.get(word, ())]
    return [*named, *listed, *([part["items"]] if "items" in part else [])]


def _target(root: Any, ref: str, where: str) -> Any:
    found = root
    for step in ref.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    if not ref.startswith("#/") or found is None:
        raise _refused(where, f"{ref} cannot be resolved")
    return found


def _refused(where: str, message: str) -> Refused:
    return Refused("wrong_type", f"{where}: {message}", param=where)
