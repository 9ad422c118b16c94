"""The smallest value that satisfies a JSON Schema, for structured replies and forced tool calls."""

from typing import Any

MAX_DEPTH = 32
PRIMITIVES: dict[str, Any] = {"string": "string", "integer": 1, "number": 1.5, "boolean": True, "null": None}


def sample(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """One minimal instance: required properties only, the first enum value, the first branch of a union."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    if "$ref" in schema:
        return sample(_resolve(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return sample(schema[union][0], root, depth + 1)
    if schema.get("allOf"):
        return sample(_merge(schema, root), root, depth + 1)
    return _by_type(schema, root, depth)


def _by_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    kind = _type_of(schema)
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: sample(properties.get(name, {}), root, depth + 1) for name in schema.get("required") or ()}
    if kind == "array":
        least = schema.get("minItems") or schema.get("min_items") or 0  # Gemini's dialect is also sent in snake_case
        return [sample(schema.get("items"), root, depth + 1)] * int(least)
    if kind == "string":
        length = int(schema.get("minLength") or 0)
        return "string".ljust(length, "x")[: schema.get("maxLength")]
    if kind in ("integer", "number"):
        return _number(schema, PRIMITIVES[kind])
    return PRIMITIVES.get(kind)


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if not kind:
        return "object" if "properties" in schema else "string"
    return str(kind).lower()  # Gemini's own schema dialect writes OBJECT, STRING...


def _number(schema: dict[str, Any], default: float) -> Any:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if lowest is not None and default < lowest:
        return lowest
    return highest if highest is not None and default > highest else default


def _resolve(reference: str, root: Any) -> Any:
    found = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step) if isinstance(found, dict) and step else found
    return found


def _merge(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        branch = _resolve(part["$ref"], root) if isinstance(part, dict) and "$ref" in part else part
        if not isinstance(branch, dict):
            continue
        merged |= {
            **branch,
            "properties": {**merged.get("properties", {}), **branch.get("properties", {})},
            "required": [*merged.get("required", ()), *branch.get("required", ())],
        }
    return merged
